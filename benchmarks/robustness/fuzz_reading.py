"""Read thousands of damaged and hostile files from one seed: each must end in a result or in one sentence.

A child process makes each input, reads it as medshot would and reports the outcome; the parent watches the clock and
the child's memory, and starts it again after an input that killed or hung it.
"""

import argparse
import json
import os
import resource
import subprocess
import sys
import tempfile
import traceback
import warnings
from collections import Counter
from pathlib import Path
from queue import Empty, Queue
from threading import Thread

import numpy as np

from benchmarks.common.arguments import ROOT, make_parser, parse
from benchmarks.common.results import save

PATIENCE = 10.0  # seconds for one input
STARTING = 300.0  # seconds until the first
MEMORY = 1 << 30  # bytes beyond what the child holds before its first input
SENTENCE = "sentence"
FINE = ("result", SENTENCE)
NUMBERS = (0, 1, 0x7F, 0x80, 0xFF, 0x7FFF, 0xFFFF, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFF)


def corpus(folder: Path) -> dict[str, bytes]:
    """Return small valid files of every kind, by name."""
    import cv2
    import nibabel
    import SimpleITK
    from PIL import Image
    from pydicom.data import DATA_ROOT

    rng = np.random.default_rng(0)
    picture = rng.integers(0, 256, (24, 20), dtype=np.uint8)
    colours, volume = np.stack([picture] * 3, axis=2), rng.integers(0, 900, (6, 8, 7), dtype=np.int16)
    Image.fromarray(picture).save(folder / "grey.png")
    Image.fromarray(colours).save(folder / "colour.jpg")
    Image.fromarray(colours).save(folder / "page.tif", compression="tiff_lzw")
    cv2.imwrite(str(folder / "deep.png"), picture.astype(np.uint16) * 200)
    for name in ("volume.nii", "packed.nii.gz"):
        nibabel.save(nibabel.Nifti1Image(volume, np.diag([2.0, 2, 3, 1])), folder / name)
    for name in ("volume.nrrd", "volume.mha"):
        SimpleITK.WriteImage(SimpleITK.GetImageFromArray(volume), str(folder / name), useCompression=True)
    images = rng.integers(0, 256, (6, 12, 12), dtype=np.uint8)
    np.savez(folder / "medmnist.npz", train_images=images, train_labels=np.arange(6)[:, None] % 2)
    rows = "\n".join(f"grey{number}.png,{'ab'[number % 2]},p{number}" for number in range(6))
    (folder / "manifest.csv").write_text(f"image,label,patient\n{rows}\n")
    for number in range(6):
        Image.fromarray(np.roll(picture, number)).save(folder / f"grey{number}.png")
    for number, path in enumerate(sorted((Path(DATA_ROOT) / "test_files").rglob("*.dcm"))):
        if 0 < path.stat().st_size < 100_000:
            (folder / f"{number:03d}-{path.name}").write_bytes(path.read_bytes())
    return {path.name: path.read_bytes() for path in sorted(folder.iterdir()) if not path.name.startswith("grey0")}


def mutated(content: bytes, rng: np.random.Generator) -> bytes:
    """Return the content with one to eight changes, most of them near the beginning, where headers are."""
    data = bytearray(content)
    for _ in range(int(rng.integers(1, 9))):
        place = int(len(data) * rng.random() ** 3) if rng.random() < 0.8 else int(rng.integers(0, len(data) + 1))
        match int(rng.integers(0, 7)):
            case 0:
                data[place : place + 1] = rng.bytes(1)
            case 1:
                width = int(rng.choice([1, 2, 4]))
                data[place : place + width] = (int(rng.choice(NUMBERS)) % 256**width).to_bytes(width, "little")
            case 2:
                data[place:] = b"" if rng.random() < 0.3 else data[place:]
            case 3:
                data[place:place] = rng.bytes(int(rng.integers(1, 40)))
            case 4:
                del data[place : place + int(rng.integers(1, 40))]
            case 5:
                data[place:place] = data[place : place + int(rng.integers(1, 200))]
            case 6:
                other = int(rng.integers(0, len(data) + 1))
                data[place : place + 8] = data[other : other + 8]
    return bytes(data)


def read_as_medshot_would(path: Path) -> None:
    from medshot.imaging import display, read
    from medshot.tasks import load_tasks

    if path.suffix in (".csv", ".npz"):
        for task in load_tasks(path):
            task.hashes()
        return
    scan = read(path)
    if scan.kind != "waveform":
        display(scan)


def outcome(path: Path) -> tuple[str, str]:
    """Return the outcome of an input, and the sentence or the place of the fault."""
    from medshot.errors import MedshotError

    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            read_as_medshot_would(path)
    except MedshotError as error:
        message = str(error)
        whole = path.name in message and "\n" not in message.strip() and message.rstrip().endswith(".")
        return (SENTENCE if whole else "bad sentence"), message
    except BaseException as error:
        frame = traceback.extract_tb(error.__traceback__)[-1]
        return "traceback", f"{type(error).__name__}: {error} ({Path(frame.filename).name}:{frame.lineno})"
    return "result", ""


def child(seed: int, start: int, stop: int) -> None:
    """Read inputs `start` to `stop`, a line of JSON before and after each."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        sound = corpus(folder)
        for path, content in ((folder / name, content) for name, content in sound.items()):
            path.write_bytes(content)
            outcome(path)  # imports and memory that libraries keep
        base = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        for number in range(start, stop):
            rng = np.random.default_rng([seed, number])
            suffix = rng.choice(sorted({Path(each).suffix for each in sound}))  # every kind as often
            path = folder / str(rng.choice([each for each in sound if each.endswith(suffix)]))
            print(json.dumps({"number": number, "file": path.name}), flush=True)
            path.write_bytes(mutated(sound[path.name], rng))
            kind, message = outcome(path)
            path.write_bytes(sound[path.name])
            more = 1024 * (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - base)
            print(json.dumps({"number": number, "outcome": kind, "said": message, "memory": more}), flush=True)


def run(inputs: int, seed: int) -> list[dict]:
    """Return the outcome of every input."""
    found: list[dict] = []
    while len(found) < inputs:
        found += _watched(seed, len(found), inputs)
        print(f"\r{len(found)} of {inputs}", end="", file=sys.stderr, flush=True)
    return found


def _watched(seed: int, start: int, stop: int) -> list[dict]:
    """Return the outcomes of one child; the last is a crash or a hang if it did not reach the end."""
    command = [sys.executable, "-m", "benchmarks.robustness.fuzz_reading", "--child", str(seed), str(start), str(stop)]
    found: list[dict] = []
    began: dict = {}
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, cwd=ROOT) as process:
        lines: Queue[str] = Queue()
        Thread(target=lambda: [lines.put(line) for line in (*process.stdout, "")], daemon=True).start()
        ended = ""
        while not ended:
            try:
                line = lines.get(timeout=PATIENCE if began else STARTING)
            except Empty:
                ended = "hang"
                break
            event = json.loads(line) if line else {}
            if not line:
                ended = "crash"
            elif "outcome" not in event:
                began = event
            else:
                found.append(began | event)
                began = {}
                if event["memory"] > MEMORY:  # memory is never given back: a new child measures from zero
                    found[-1]["outcome"] = ended = "memory"
        process.kill()
    if began:
        found.append(began | {"outcome": ended, "said": f"exit {process.wait()}", "memory": 0})
    elif not found:
        raise SystemExit("the child died before its first input; run it by hand to see why")
    return found


def main() -> int:
    parser = make_parser("robustness.fuzz_reading", __doc__, data=False, work=False, report=False)
    parser.add_argument("--inputs", type=int, default=10_000)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--child", type=int, nargs=3, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.child:
        child(*arguments.child)
        return 0
    arguments = parse(parser)
    inputs = min(arguments.inputs, 500) if arguments.quick else arguments.inputs
    found = run(inputs, arguments.seed)
    counts = Counter(event["outcome"] for event in found)
    faults = [event for event in found if event["outcome"] not in FINE]
    summary = {
        "inputs": len(found),
        "seed": arguments.seed,
        "outcomes": dict(sorted(counts.items())),
        "kinds of file": dict(sorted(Counter(Path(event["file"]).suffix for event in found).items())),
        "largest memory, MB": round(max(event["memory"] for event in found) / 1e6),
        "faults": faults,
    }
    print(json.dumps(summary, indent=2))
    save(arguments.places, "fuzz", summary)
    return 1 if faults else 0


if __name__ == "__main__":
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    sys.exit(main())
