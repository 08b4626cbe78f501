"""Paint docs/images/simulated.png: every class of the simulated families, and one nodule at several difficulties.

    python docs/contact_sheet.py

Run it again after changing a family, and look at the picture.
"""

from pathlib import Path

import cv2
import numpy as np
from PIL import Image, ImageDraw, ImageFont

from medshot.simulated import FAMILIES
from medshot.simulated.rendered import Rendered

SHEET = Path(__file__).parent / "images" / "simulated.png"
COLUMNS, CELL, GAP, TITLE, CAPTION = 6, 132, 8, 26, 18
DIFFICULTY = 0.3
DIFFICULTIES = (0.0, 0.3, 0.6, 1.0)
PATIENTS = 2
NODULE_SEED = 2

Tile = tuple[str, np.ndarray]


def main() -> None:
    """Paint the sheet and write it."""
    rows = [(family_title(name), family_tiles(name)) for name in FAMILIES]
    rows.append(("chest: one nodule, one seed, as difficulty grows", nodule_tiles()))
    strips = [strip(title, tiles) for title, tiles in rows]
    sheet = Image.fromarray(np.concatenate(strips))
    SHEET.parent.mkdir(exist_ok=True)
    sheet.save(SHEET, optimize=True)
    print(f"{SHEET}: {sheet.width}×{sheet.height} pixels, {SHEET.stat().st_size // 1024} KiB")


def family_title(name: str) -> str:
    """Return the name and the classes of a family."""
    return f"{name}, difficulty {DIFFICULTY}: {', '.join(FAMILIES[name].CLASSES)}"


def family_tiles(name: str) -> list[Tile]:
    """Return one patient of each class, hospital by hospital, until the row is full. ECG pages take two columns."""
    family = FAMILIES[name]
    wide, solid = name == "ecg", name == "organ"
    tiles = []
    for place in range(COLUMNS // 2 if wide else COLUMNS):
        hospital, label = divmod(place, len(family.CLASSES))
        size = 2 * CELL + GAP if wide else CELL // 2 if solid else CELL
        task = family.render(seed=hospital, patients=PATIENTS, size=size, difficulty=DIFFICULTY)
        sample = int(np.flatnonzero(task.labels == label)[0])
        image = slice_through_finding(task, sample) if solid else task.images[sample]
        tiles.append((f"{family.CLASSES[label]}, seed {hospital}", image))
    return tiles


def slice_through_finding(task: Rendered, sample: int) -> np.ndarray:
    """Return the axial slice through the finding of a volume, or the middle slice, with two pixels per voxel."""
    volume, height = task.images[sample], task.positions[sample, 2]
    middle = int((0.5 if np.isnan(height) else height) * len(volume))
    return volume[middle].repeat(2, axis=0).repeat(2, axis=1)


def nodule_tiles() -> list[Tile]:
    """Return one patient at each difficulty, the outline of the mask, and the pixels that the nodule adds."""
    tasks = {difficulty: chest(difficulty) for difficulty in DIFFICULTIES}
    sample = int(np.flatnonzero(tasks[0.0].labels == 1)[0])
    tiles = [(f"difficulty {difficulty}", task.images[sample]) for difficulty, task in tasks.items()]
    outlined = cv2.cvtColor(tasks[0.0].images[sample], cv2.COLOR_GRAY2RGB)
    mask = tasks[0.0].masks[sample].astype(np.uint8)
    outlines, _ = cv2.findContours(mask, cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE)
    cv2.drawContours(outlined, outlines, -1, (255, 170, 0), 1)
    added = tasks[0.0].images[sample].astype(int) - tasks[1.0].images[sample]
    return [
        *tiles,
        ("its mask", outlined),
        ("0.0 minus 1.0", np.clip(128 + added, 0, 255).astype(np.uint8)),
    ]


def chest(difficulty: float) -> Rendered:
    """Return the films of one hospital at a difficulty."""
    return FAMILIES["chest"].render(seed=NODULE_SEED, patients=PATIENTS, size=CELL, difficulty=difficulty)


def strip(title: str, tiles: list[Tile]) -> np.ndarray:
    """Return a row of captioned tiles under a title, as RGB."""
    pitch = COLUMNS // len(tiles) * (CELL + GAP)
    tallest = max(len(image) for _, image in tiles)
    paper = Image.new("RGB", (COLUMNS * (CELL + GAP) + GAP, TITLE + tallest + CAPTION + GAP), "white")
    pen = ImageDraw.Draw(paper)
    pen.text((GAP, 6), title, fill="black", font=ImageFont.load_default(14))
    for place, (caption, image) in enumerate(tiles):
        middle = GAP + place * pitch + (pitch - GAP) // 2
        paper.paste(Image.fromarray(image).convert("RGB"), (middle - image.shape[1] // 2, TITLE))
        below = (middle, TITLE + tallest + CAPTION // 2)
        pen.text(below, caption, fill="black", font=ImageFont.load_default(11), anchor="mm")
    return np.asarray(paper)


if __name__ == "__main__":
    main()
