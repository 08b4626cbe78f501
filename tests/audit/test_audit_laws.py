"""Laws of the audit: data is never changed, every copy is found, labels without a shortcut have none."""

import hashlib
import io
from contextlib import suppress
from pathlib import Path

import cv2
import numpy as np
import pytest
from audit_data import found, named, smooth, two, write_data
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image

from medshot.audit import audit
from medshot.audit.neighbours import near_pairs
from medshot.audit.shortcuts import predictability
from medshot.errors import InputError

quick = settings(max_examples=12, suppress_health_check=[HealthCheck.function_scoped_fixture])


def state(folder: Path) -> dict[str, tuple]:
    """Return everything that could change in a folder."""
    return {
        str(path.relative_to(folder)): (
            path.stat().st_mtime_ns,
            path.stat().st_mode,
            hashlib.sha256(path.read_bytes()).hexdigest() if path.is_file() else "",
        )
        for path in [folder, *folder.rglob("*")]
    }


contents = st.one_of(
    st.binary(max_size=40),
    st.integers(0, 99).map(lambda seed: encoded(smooth(seed, 1, 24)[0], ".png")),
    st.integers(0, 99).map(lambda seed: encoded(smooth(seed, 1, 24)[0], ".jpg")),
    st.integers(0, 99).map(lambda seed: encoded(smooth(seed, 1, 24)[0], ".png")[:-20]),
)


def encoded(image: np.ndarray, suffix: str, **options: int) -> bytes:
    file = io.BytesIO()
    Image.fromarray(image).save(file, {".png": "PNG", ".jpg": "JPEG", ".tif": "TIFF"}[suffix], **options)
    return file.getvalue()


@given(classes=st.lists(st.lists(contents, min_size=1, max_size=3), min_size=1, max_size=3))
@quick
def test_a_check_never_changes_its_input(tmp_path_factory, classes):
    folder = tmp_path_factory.mktemp("data")
    for number, files in enumerate(classes):
        for place, content in enumerate(files):
            path = folder / f"class {number}" / f"{place}.png"
            path.parent.mkdir(exist_ok=True)
            path.write_bytes(content)
    before = state(folder)
    with suppress(InputError):  # if none of the files is an image
        audit(folder)
    assert state(folder) == before


@given(
    seed=st.integers(0, 10_000),
    how=st.sampled_from(["same file", "other file type", "JPEG", "half the size", "twice the size", "brighter"]),
)
@quick
def test_any_copy_is_found_and_nothing_else(tmp_path_factory, seed, how):
    pictures = list(smooth(seed, 12))
    folder = write_data(tmp_path_factory.mktemp("data") / "set", pictures, two(12), patient=named(12))
    victim = seed % 12
    image = pictures[victim]
    content, suffix = {
        "same file": (lambda: (folder / f"{victim:04d}.png").read_bytes(), ".png"),
        "other file type": (lambda: encoded(image, ".tif"), ".tif"),
        "JPEG": (lambda: encoded(image, ".jpg", quality=60), ".jpg"),
        "half the size": (lambda: encoded(cv2.resize(image, (32, 32), interpolation=cv2.INTER_AREA), ".png"), ".png"),
        "twice the size": (lambda: encoded(cv2.resize(image, (128, 128)), ".png"), ".png"),
        "brighter": (lambda: encoded(np.clip(image * 0.8 + 40, 0, 255).astype(np.uint8), ".png"), ".png"),
    }[how]
    (folder / f"copy{suffix}").write_bytes(content())
    with (folder / "task.csv").open("a") as manifest:
        manifest.write(f"copy{suffix},{two(12)[victim]},p99\n")
    findings = found(folder)
    name = "exact-copies" if how in ("same file", "other file type") else "near-copies"
    assert {Path(example.image).stem for example in findings[name].examples} == {f"{victim:04d}", "copy"}
    assert not {"exact-copies", "near-copies", "look-alikes"} - {name} & set(findings)


def test_distinct_pictures_are_not_copies(tmp_path):
    findings = found(write_data(tmp_path / "set", smooth(1, 80), two(80), patient=named(80)))
    assert not [name for name in findings if "copies" in name or "alikes" in name]


@given(seed=st.integers(0, 1000))
@settings(max_examples=5)
def test_bands_find_what_comparing_all_finds(seed):
    rng = np.random.default_rng(seed)
    prints = rng.integers(0, 256, (3000, 32), dtype=np.uint8)
    flipped = np.unpackbits(prints[:300], axis=1)
    for row, bits in zip(flipped, rng.integers(0, 16, 300), strict=True):
        row[rng.choice(256, bits, replace=False)] ^= 1
    prints = np.concatenate([prints, np.packbits(flipped, axis=1)])
    all_pairs, by_bands = near_pairs(prints), near_pairs(prints, exact=10)
    assert all_pairs.recall == 1
    assert len(all_pairs.pairs) == 300
    assert {tuple(pair) for pair in all_pairs.pairs} == {tuple(pair) for pair in by_bands.pairs}
    assert by_bands.recall == 1


def test_labels_without_a_shortcut_have_none_at_the_promised_rate():
    rng = np.random.default_rng(0)
    alarms = 0
    for trial in range(200):
        patients = np.repeat(np.arange(40), rng.integers(1, 5, 40))
        of_patient = rng.normal(size=(40, 3)).astype(np.float32)  # images of one patient are alike
        values = of_patient[patients] + 0.1 * rng.normal(size=(len(patients), 3)).astype(np.float32)
        labels = (np.arange(40) % 2)[patients]
        measured = predictability(values, labels, patients, permutations=39, seed=trial)
        alarms += measured.p <= 0.05
    assert alarms <= 20  # 10 are expected of 200, more than 20 once in a thousand


@pytest.mark.parametrize("classes", [2, 4])
def test_a_shortcut_is_measured_as_strong_as_it_is(classes):
    rng = np.random.default_rng(1)
    labels = np.arange(400) % classes
    encoded_labels = np.where(rng.random(400) < 0.5, labels, rng.integers(0, classes, 400))
    values = (encoded_labels[:, None] == np.arange(classes)).astype(np.float32)
    measured = predictability(values, labels, np.arange(400), permutations=199)
    assert measured.p == pytest.approx(1 / 200)
    assert measured.skill(classes) == pytest.approx(0.5, abs=0.1)
    assert measured.chance == pytest.approx(1 / classes, abs=0.02)
