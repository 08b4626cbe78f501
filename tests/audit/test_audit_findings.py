"""Each fault, planted by itself, is found and graded; clean data has nothing harmful."""

import os
from pathlib import Path

import cv2
import numpy as np
import pytest
from audit_data import found, harms, named, smooth, two, write_data
from PIL import Image

from medshot.audit import audit
from medshot.audit.decoding import of_array
from medshot.audit.facts import FACTS, FactStore, keys, measure
from medshot.errors import InputError
from medshot.simulated import FAMILIES, simulate


@pytest.fixture
def clean() -> np.ndarray:
    return smooth(5, 40)


def written(folder: Path, images, labels=None, **columns) -> Path:
    labels = labels or two(len(images))
    return write_data(folder / "set", images, labels, **({"patient": named(len(images))} | columns))


def test_clean_data_has_no_finding(tmp_path, clean):
    assert not [
        name for name in found(written(tmp_path, clean)) if not name.startswith("shortcut")
    ]  # those are by chance


@pytest.mark.slow
def test_clean_data_seldom_has_a_shortcut(tmp_path):
    alarms = 0
    for seed in range(40):
        findings = found(written(tmp_path / str(seed), smooth(seed, 40)))
        alarms += any(name.startswith("shortcut") for name in findings)
    assert alarms <= 6  # 2 are allowed of 40 on average, more than 6 three times in a thousand


def test_simulated_volumes_have_nothing_harmful(tmp_path):
    task = simulate("organ", seed=8, patients=12, size=32)
    np.savez(tmp_path / "organ.npz", train_images=task.images.array[task.rows], train_labels=task.labels[:, None])
    assert not harms(found(tmp_path / "organ.npz"))


@pytest.mark.slow
@pytest.mark.parametrize("family", [family for family in FAMILIES if family != "organ"])
def test_simulated_data_has_nothing_harmful(tmp_path, family):
    task = simulate(family, seed=8, patients=50, size=64)
    images = [task.images.array[row] for row in task.rows]
    labels = [task.classes[label] for label in task.labels]
    assert not harms(found(write_data(tmp_path / family, images, labels, patient=[str(p) for p in task.patients])))


def test_every_unreadable_file_is_listed(tmp_path, clean):
    folder = written(tmp_path, clean)
    (folder / "0003.png").write_bytes(b"")
    (folder / "0007.png").write_bytes((folder / "0008.png").read_bytes()[:200])
    (folder / "0009.png").write_text("not an image")
    (folder / "0011.png").unlink()
    (folder / "0012.png").unlink()
    (folder / "0012.png").mkdir()
    finding = found(folder)["unreadable"]
    assert finding.harm == "harmful"
    assert [Path(example.image).name for example in finding.examples] == [f"{n:04d}.png" for n in (3, 7, 9, 11, 12)]
    assert all(example.caption for example in finding.examples)


def test_all_bad_rows_are_listed_and_the_rest_is_checked(tmp_path, clean):
    folder = written(tmp_path, clean)
    with (folder / "task.csv").open("a") as manifest:
        manifest.write("0001.png,ill,p1\n,ill,p2\n0002.png,ill,\nx.png,ill\n./0003.png,ill,p3\n0004.png,,p5\n")
    findings = found(folder)
    assert findings["unusable-rows"].numbers["count"] == 5
    assert harms(findings) == {"unusable-rows"}


def test_copies_are_graded_by_what_they_cross(tmp_path, clean):
    doubled = [*clean, *clean[:3]]
    same_patient = [*named(40), "p0", "p1", "p2"]
    labels = [*two(40), *two(3)]
    assert not harms(found(written(tmp_path / "1", doubled, labels, patient=same_patient)))
    assert harms(found(written(tmp_path / "2", doubled, labels))) == {"exact-copies"}
    swapped = [*two(40), *two(4)[1:]]
    assert "copies-in-several-classes" in harms(found(written(tmp_path / "3", doubled, swapped, patient=same_patient)))
    split = ["train"] * 40 + ["test"] * 3
    findings = found(written(tmp_path / "4", doubled, labels, patient=same_patient, split=split))
    assert {"copies-across-splits", "patients-across-splits"} <= harms(findings)
    assert findings["patients-across-splits"].numbers["test and train"] == 3
    assert findings["copies-across-splits"].numbers["images"] == 6


def test_another_column_may_hold_the_split(tmp_path, clean):
    part = ["a", "b"] * 20
    folder = written(tmp_path, clean, patient=[f"p{n // 2}" for n in range(40)], part=part)
    assert "patients-across-splits" not in found(folder)
    assert found(folder, split="part")["patients-across-splits"].numbers["patients"] == 20


def test_crops_are_found_across_tasks(tmp_path):
    films = smooth(2, 30, 128)
    cut = [cv2.resize(film[:, 18:110], (28, 28), interpolation=cv2.INTER_AREA) for film in films[:20]]
    first = written(tmp_path / "films", films).rename(tmp_path / "films" / "whole")
    second = written(tmp_path / "cut", [*cut, *smooth(3, 20, 28)]).rename(tmp_path / "cut" / "cut")
    finding = found(first, second)["shared-by-tasks"]
    assert finding.harm == "harmful"
    assert finding.numbers["pictures"] >= 18
    assert finding.numbers["there"] <= 20


def test_tasks_of_one_folder_that_share_images(tmp_path, clean):
    for name, images in (("a", clean[:30]), ("b", clean[25:])):
        write_data(tmp_path / "data" / name, images, two(len(images)), patient=named(len(images)))
    findings = audit(tmp_path / "data").verdict.findings
    assert [finding.numbers["exact"] for finding in findings if finding.name == "shared-by-tasks"] == [5]
    assert findings[0].task == "a and b"


def test_what_the_sampler_cannot_serve(tmp_path, clean):
    labels = ["rare"] * 3 + ["common"] * 37
    finding = found(written(tmp_path / "1", clean, labels))["too-few-patients"]
    assert (finding.harm, "5 and 10 shots" in finding.sentence, "3 patients" in finding.sentence) == (
        "doubtful",
        True,
        True,
    )
    one = ["rare"] + ["common"] * 39
    assert "too-few-patients" in harms(found(written(tmp_path / "2", clean, one)))
    assert "single-class" in harms(found(written(tmp_path / "3", clean, ["only"] * 40)))
    assert "classes-unequal" in found(written(tmp_path / "4", clean, labels))


def test_odd_pictures(tmp_path, clean):
    images = list(clean)
    pattern = clean[0].astype(float)
    images = [np.clip(0.7 * pattern + 0.3 * image, 1, 254).astype(np.uint8) for image in images]
    images[4] = np.full((64, 64), 77, np.uint8)
    images[9] = 255 - images[9]
    images[14] = np.where(np.arange(64) < 50, 255, images[14]).astype(np.uint8)
    findings = found(written(tmp_path, images))
    assert {name: len(findings[name].examples) for name in ("constant", "inverted", "saturated")} == {
        "constant": 1,
        "inverted": 1,
        "saturated": 1,
    }
    assert findings["inverted"].examples[0].image.endswith("0009.png")
    assert harms(findings) == {"constant"}


def test_mixtures(tmp_path, clean):
    folder = written(tmp_path, clean)
    Image.fromarray(np.stack([clean[1]] * 3, axis=-1)).save(folder / "0001.png")
    Image.fromarray(np.stack([clean[2], clean[3], clean[4]], axis=-1)).save(folder / "0002.png")
    Image.fromarray(clean[5].astype(np.uint16) * 200).save(folder / "0005.png")
    Image.fromarray(clean[6][:40]).save(folder / "0006.png")
    findings = found(folder)
    assert {"mixed-colour", "grey-stored-as-colour", "mixed-bit-depths", "mixed-sizes"} <= set(findings)


def test_lines_drawn_in_colour_on_one_class_are_a_shortcut(tmp_path, clean):
    images = [np.stack([image] * 3, axis=-1) for image in clean]
    for number in range(0, 40, 2):
        cv2.line(images[number], (10, 10), (50, 40 - number // 2), (230, 20, 20), 1)
    findings = found(written(tmp_path, images))
    assert findings["coloured-marks"].numbers["images"] == 20
    assert {"shortcut-coloured-marks", "shortcut-colour"} & harms(findings)


def test_text_in_the_margin(tmp_path):
    images = list(smooth(6, 40, 256) // 2)
    for number in range(5):
        cv2.putText(images[number], "SMITH 1961", (8, 20), cv2.FONT_HERSHEY_SIMPLEX, 0.5, 255, 1)
    finding = found(written(tmp_path, images))["burnt-in-text"]
    assert {Path(example.image).name for example in finding.examples} == {f"{n:04d}.png" for n in range(5)}


@pytest.mark.parametrize("cue", ["border strip", "image size", "file type", "column site"])
def test_shortcuts(tmp_path, clean, cue):
    labels, images, columns = two(40), list(clean), {}
    ill = [label == "ill" for label in labels]
    if cue == "border strip":
        images = [
            np.pad(image[4:-4, 4:-4], 4, constant_values=10 if is_ill else 240)
            for image, is_ill in zip(images, ill, strict=True)
        ]
    if cue == "image size":
        images = [image[:, : 50 if is_ill else 64] for image, is_ill in zip(images, ill, strict=True)]
    if cue == "column site":
        columns["site"] = ["north" if is_ill else "south" for is_ill in ill]
    folder = written(tmp_path, images, labels, **columns)
    if cue == "file type":
        rows = (folder / "task.csv").read_text()
        for number in range(0, 40, 2):
            Image.fromarray(images[number]).save(folder / f"{number:04d}.jpg", quality=98)
            rows = rows.replace(f"{number:04d}.png", f"{number:04d}.jpg")
        (folder / "task.csv").write_text(rows)
    findings = found(folder)
    (name,) = [name for name in findings if name.startswith(f"shortcut-{cue.replace(' ', '-')}")]
    assert findings[name].numbers["balanced_accuracy"] == 1
    assert (name in harms(findings)) == (cue in ("image size", "file type"))


def test_names_ages_and_dates(tmp_path, clean):
    dates = [f"2021-03-{n % 28 + 1:02d}" for n in range(40)]
    folder = written(tmp_path, clean, age=["91"] * 40, sex=["F", "M"] * 20, taken=dates, PatientName=["Doe^Jane"] * 40)
    findings = found(folder)
    assert {"column-of-ages", "column-of-sexes", "column-of-dates", "column-of-names"} <= set(findings)
    assert (findings["column-of-ages"].harm, findings["column-of-sexes"].harm) == ("doubtful", "note")
    assert "column-of-names" in harms(findings)


@pytest.mark.parametrize(
    ("stem", "name"),
    [
        ("N{0},N,F,21_1", "age-and-sex-in-file-names"),
        ("case {0} 12 yrs", "age-and-sex-in-file-names"),
        ("TCGA_{0}_19960909", "dates-in-file-names"),
        ("DOE^JANE {0}", "names-in-file-names"),
        ("MRN 7700{0}", "numbers-in-file-names"),
        ("IMG_{0}", None),
        ("patient{0}_1_0", None),
    ],
)
def test_file_names(tmp_path, clean, stem, name):
    for number, (image, label) in enumerate(zip(clean, two(40), strict=True)):
        path = tmp_path / label / f"{stem.format(number)}.png"
        path.parent.mkdir(exist_ok=True)
        Image.fromarray(image).save(path)
    names = [found_name for found_name in found(tmp_path) if "file-names" in found_name]
    assert names == ([name] if name else [])


def test_labels_that_features_contradict(tmp_path):
    rng = np.random.default_rng(0)
    labels = np.arange(100) % 2
    features = rng.normal(size=(100, 20)) + 3 * labels[:, None]
    wrong = labels.copy()
    wrong[[10, 33]] = 1 - wrong[[10, 33]]
    folder = written(tmp_path, smooth(7, 100), ["ab"[label] for label in wrong])
    finding = found(folder, embed=lambda images: features)["label-suspects"]
    assert finding.harm == "doubtful"
    assert {Path(example.image).stem for example in finding.examples} == {"0010", "0033"}
    noise = rng.normal(size=(100, 20))
    assert "label-suspects" not in found(folder, embed=lambda images: noise)


def test_archives_have_splits_of_their_own(tmp_path):
    images, labels = smooth(9, 40, 28), np.arange(40) % 2
    arrays = {"train_images": images[:30], "train_labels": labels[:30]}
    arrays |= {"test_images": images[28:38], "test_labels": labels[28:38]}
    np.savez(tmp_path / "set.npz", **arrays)
    assert found(tmp_path / "set.npz")["copies-across-splits"].numbers["images"] == 4


def test_nothing_readable_is_refused(tmp_path):
    for name in "ab":
        (tmp_path / name).mkdir()
        (tmp_path / name / "1.png").write_text("no image")
    with pytest.raises(InputError, match="holds no image that can be read"):
        audit(tmp_path)
    with pytest.raises(InputError, match="holds no task"):
        audit(tmp_path / "a")
    with pytest.raises(InputError, match="does not exist"):
        audit(tmp_path / "c")


def facts(count: int) -> np.ndarray:
    return np.array([measure(of_array(image), ".png", b"x") for image in smooth(4, count)], FACTS)


def test_a_killed_writer_leaves_nothing_that_counts(tmp_path):
    store, rows, of = FactStore(tmp_path), facts(6), keys([bytes([n]) for n in range(6)])
    store.append(of[:4], rows[:4])
    for name in os.listdir(tmp_path):  # noqa: PTH208
        if name not in ("keys", "lock"):
            with (tmp_path / name).open("ab") as file:
                file.write(b"half a row")
    again = FactStore(tmp_path)
    assert again.find(of).tolist() == [0, 1, 2, 3, -1, -1]
    again.append(of[4:], rows[4:])
    assert again.find(of).tolist() == [0, 1, 2, 3, 4, 5]
    np.testing.assert_array_equal(again.column("thumbnail"), rows["thumbnail"])


def test_measured_images_are_not_measured_again(tmp_path, clean, monkeypatch):
    folder = written(tmp_path, clean)
    found(folder)
    Image.fromarray(clean[0][::-1]).save(folder / "0001.png")
    decoded = []
    monkeypatch.setattr(
        "medshot.audit.measuring.measure", lambda image, *rest: decoded.append(1) or measure(image, *rest)
    )
    found(folder)
    assert len(decoded) == 1
