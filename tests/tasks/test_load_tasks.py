"""Every form of tasks on disk, and every way in which they can be wrong."""

import csv
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from small_tasks import SHAPE, VOLUME, textured, write_images, write_manifest, write_volumes

from medshot.errors import InputError
from medshot.tasks import Task, load_tasks

TASK = textured(1, patients=3)


def class_counts(task: Task) -> dict[str, int]:
    return dict(Counter(task.classes[label] for label in task.labels))


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Make a folder with the six images of `TASK` in its class folders."""
    write_images(TASK, tmp_path / "ward")
    return tmp_path / "ward"


def rows(folder: Path) -> list[list[str]]:
    """Return the rows of a manifest of the folder's images."""
    images = sorted(str(path.relative_to(folder)) for path in folder.glob("*/*.png"))
    return [["image", "label"]] + [[image, image.split("/")[0]] for image in images]


def refusal(path: Path, **options) -> str:
    """Return the one sentence with which `path` is refused."""
    with pytest.raises(InputError) as caught:
        load_tasks(path, **options)
    sentence = str(caught.value)
    assert "\n" not in sentence
    assert sentence.endswith(".")
    return sentence


def test_a_folder_of_class_folders_is_one_task(folder):
    (task,) = load_tasks(folder)
    assert task.name == "ward"
    assert task.classes == ("direction 0", "direction 1")
    assert task.labels.tolist() == [0, 0, 0, 1, 1, 1]
    pixels = task.images.pixels(SHAPE)
    assert np.array_equal(pixels[:, 0], TASK.images.array)


def test_copies_of_one_image_are_one_patient_where_nothing_names_the_patients(folder):
    first, *_ = sorted(folder.glob("direction 0/*.png"))
    (folder / "direction 1" / "copy.png").write_bytes(first.read_bytes())
    (task,) = load_tasks(folder)
    assert len(task) == 7
    assert len(set(task.patients)) == 6


def test_hidden_files_and_other_files_are_passed_over(folder):
    (folder / "direction 0" / ".thumbnail.png").write_bytes(b"no image")
    (folder / "direction 0" / "notes.txt").write_text("no image")
    (folder / ".cache").mkdir()
    (folder / "README.md").write_text("read me")
    assert class_counts(load_tasks(folder)[0]) == {"direction 0": 3, "direction 1": 3}


@pytest.mark.parametrize("delimiter", [",", ";", "\t", "|"])
@pytest.mark.parametrize("start", ["", "\ufeff"])
@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
def test_a_manifest_may_come_in_any_dialect(folder, delimiter, start, end):
    text = start + "".join(delimiter.join(row) + end for row in rows(folder))
    (folder / "task.csv").write_bytes(text.encode())
    (task,) = load_tasks(folder)
    assert task.name == "ward"
    assert class_counts(task) == {"direction 0": 3, "direction 1": 3}


def test_quotes_protect_delimiters_quotes_and_spaces(folder):
    (folder / 'a, "b" film.png').write_bytes(next(folder.glob("*/*.png")).read_bytes())
    lines = [",".join(f'"{field}"' for field in row) for row in rows(folder)]
    (folder / "task.csv").write_text("\n".join([*lines, '"a, ""b"" film.png","other; class"']))
    assert class_counts(load_tasks(folder / "task.csv")[0])["other; class"] == 1


def test_patients_come_from_their_column(folder):
    table = [[*row, patient] for row, patient in zip(rows(folder), ["patient", *"aabbcc"], strict=True)]
    (task,) = load_tasks(write_manifest(folder / "study.csv", table))
    assert task.name == "study"
    assert task.patients.tolist() == list("aabbcc")
    assert [len(members) for members in task.members] == [2, 2]


def test_another_label_column_kept_rows_and_dropped_rows(folder):
    extra = [["stage", "scanner"], ["I", "x"], ["II", "x"], ["", "x"], [" ", "y"], ["I", "y"], ["II", "z"]]
    path = write_manifest(folder / "task.csv", [[*row, *more] for row, more in zip(rows(folder), extra, strict=True)])
    (task,) = load_tasks(path, label="stage")
    assert class_counts(task) == {"I": 2, "II": 2}
    assert task.dropped == 2
    assert "2 rows without a label were left out" in task.describe()
    (task,) = load_tasks(path, label="stage", keep={"scanner": ["x", "z"]})
    assert class_counts(task) == {"I": 1, "II": 2}
    assert task.dropped == 1
    assert "no column 'colour'" in refusal(path, keep={"colour": ["red"]})
    assert "check --label and --keep" in refusal(path, label="stage", keep={"scanner": ["none"]})
    assert "'grade'" in refusal(path, label="grade")


def test_a_folder_of_tasks_is_searched_for_all_of_them(tmp_path, folder):
    everything = tmp_path / "everything"
    (everything / "nested").mkdir(parents=True)
    folder.rename(everything / "nested" / "first")
    write_images(textured(2, patients=2), everything / "second")
    write_manifest(everything / "second" / "task.csv", rows(everything / "second"))
    archive(everything / "third.npz")
    (everything / "unrelated.csv").write_text("volume,date\n1,2\n")
    assert [task.name for task in load_tasks(everything)] == ["first", "second", "third"]


def test_a_path_with_spaces_quotes_and_letters_of_any_language(tmp_path):
    place = tmp_path / 'Jürgen\'s "lung" 肺 scans' / "größe"
    write_images(TASK, place)
    (task,) = load_tasks(place)
    assert task.name == "größe"
    assert len(task.images.pixels(SHAPE)) == 6
    write_manifest(place / "täsk.csv", rows(place))
    assert load_tasks(str(place / "täsk.csv"))[0].name == "täsk"


def archive(path: Path, **changes) -> Path:
    content = {
        "train_images": np.arange(5 * 64, dtype=np.uint8).reshape(5, 8, 8),
        "train_labels": np.array([[0], [1], [2], [1], [0]], dtype=np.uint8),
        "test_images": np.full((2, 8, 8), 7, dtype=np.uint8),
        "test_labels": np.array([[2], [0]], dtype=np.uint8),
    }
    np.savez(path, **(content | changes))
    return path


def test_a_medmnist_file_is_one_task_of_all_its_splits(tmp_path):
    (task,) = load_tasks(archive(tmp_path / "some.npz"))
    assert task.name == "some"
    assert task.classes == ("0", "1", "2")
    assert task.labels.tolist() == [0, 1, 2, 1, 0, 2, 0]
    assert task.patients[5] == task.patients[6], "identical images are one patient"


def test_damaged_medmnist_files_are_refused(tmp_path):
    path = tmp_path / "some.npz"
    assert "pickled objects" in refusal(archive(path, train_images=np.array([{}, {}, {}, {}, {}], dtype=object)))
    assert "5 train_images but 2 train_labels" in refusal(archive(path, train_labels=np.array([0, 1])))
    assert "below 0" in refusal(archive(path, test_labels=np.array([-1, 0])))
    ones = {"train_labels": np.ones(5, dtype=int), "test_labels": np.ones(2, dtype=int)}
    assert "two or more classes" in refusal(archive(path, **ones))
    path.write_bytes(archive(path).read_bytes()[:200])
    assert str(path) in refusal(path)


def test_labels_outside_the_classes_and_unequal_lengths_are_refused():
    with pytest.raises(InputError, match="labels from 0 to 2, outside its 2 classes"):
        Task("x", TASK.images, np.array([0, 1, 2, 0, 1, 1]), ("a", "b"), np.arange(6))
    with pytest.raises(InputError, match="6 images, 2 labels and 2 patients"):
        Task("x", TASK.images, np.array([0, 1]), ("a", "b"), np.arange(2))


def test_folders_without_a_task_are_refused(tmp_path, folder):
    (tmp_path / "empty").mkdir()
    assert "holds no task" in refusal(tmp_path / "empty")
    assert "does not exist" in refusal(tmp_path / "nowhere")
    for path in folder.glob("direction 1/*"):
        path.unlink()
    assert "only in the class folder 'direction 0'" in refusal(folder)
    assert "is not a task" in refusal(next(folder.glob("*/*.png")))


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        (
            b"picture,label\na.png,x\n",
            "no column 'image' in its first line, which has picture, label; choose with --image",
        ),
        (
            b"image,finding\na.png,x\n",
            "no column 'label' in its first line, which has image, finding; choose with --label",
        ),
        (b"", "no columns 'image' and 'label'"),
        (b"image,label,label\na.png,x,y\n", "two columns of the same name"),
        (b"image,label\na.png,x\nnot there.png,y\n", "not there.png, which does not exist (1 of 2"),
        (b"image,label\na.png,x\nb.png,y\na.png,y\n", "line 4 names a.png a second time (first on line 2)"),
        (b"image,label\na.png,x\nb.png,y\n./a.png,y\n", "line 4 names ./a.png a second time (first on line 2)"),
        (b"image,label\na.png,x\nb.png\n", "line 3 has 1 fields where the header has 2"),
        (b"image,label\na.png,x\nb.png,y,z\n", "line 3 has 3 fields where the header has 2"),
        (b"image,label\na.png,x\n,y\n", "line 3 names no image"),
        (b"image,label\na.png,x\nb.png,x\n", "single label 'x'"),
        (b"image,label\na.png,\nb.png,\n", "no row with a label"),
        (b"image,label,patient\na.png,x,1\nb.png,y,\n", "line 3 names no patient"),
        (b"image,label\na.png,x\nb.png,y\0\n", "NUL"),
        ("image,label\na.png,x\n".encode("utf-16-le"), "NUL"),
        ("image,label\na.png,größe\n".encode("mac-roman"), "not UTF-8"),
        ("image,label\na.png,żółty\n".encode("cp1250"), "not UTF-8"),
        ("image,label\na.png,рак\n".encode("cp1251"), "not UTF-8"),
        (b'image,label\na.png,x\n"b.png,y\n', "not valid CSV"),
        (b"image,label," + b"x" * 200_000 + b"\n", "not valid CSV"),
        (b'image,label,"a"b\na.png,x,y\n', "not valid CSV"),
    ],
)
def test_wrong_manifests_are_refused_in_one_sentence(tmp_path, content, sentence):
    for name in ("a.png", "b.png"):
        (tmp_path / name).write_bytes(b"never read")
    (tmp_path / "study.csv").write_bytes(content)
    assert sentence in refusal(tmp_path / "study.csv")


REAL = {
    "brain_mri_4class": {"glioma": 650, "meningioma": 650, "notumor": 650, "pituitary": 650},
    "cxr_jsrt_nodule_lungmask": {"nodule": 154, "non_nodule": 93},
    "cxr_nih1000": {"abnormal": 500, "normal": 500},
    "cxr_pneumonia_kermany": {"bacteria": 350, "normal": 350, "virus": 350},
    "ecg_12lead_images": {"abnormal": 233, "mi": 30, "normal": 142, "post_mi": 86},
    "lgg_mri_genomics": {"none": 436, "tumour": 831},
    "medical_mnist_6class": dict.fromkeys(("AbdomenCT", "BreastMRI", "CXR", "ChestCT", "Hand", "HeadCT"), 500),
    "skin_ham10000_subset": dict.fromkeys(("akiec", "bcc", "bkl", "mel", "nv"), 150) | {"vasc": 80, "df": 60},
    "spine_xray_scoliosis": {"normal": 71, "scoliosis": 188},
}


@pytest.mark.parametrize("name", REAL)
def test_real_data_loads_with_its_published_counts(shared_data, name):
    (task,) = load_tasks(shared_data / name)
    assert class_counts(task) == REAL[name]


def test_every_real_manifest_loads_with_the_counts_of_its_rows(shared_data):
    for path in sorted(shared_data.glob("*/task.csv")):
        with path.open(encoding="utf-8-sig", newline="") as file:
            rows = list(csv.DictReader(file))
        if "label" in rows[0]:
            (task,) = load_tasks(path.parent)
            assert class_counts(task) == Counter(row["label"] for row in rows if row["label"])
            assert len(set(task.patients)) == len({row["patient"] for row in rows if row["label"]})
        else:
            assert "no column 'label' in its first line" in refusal(path.parent)


def test_lung_cancer_is_malignant_against_normal(shared_data):
    (task,) = load_tasks(
        shared_data / "cxr_jsrt_nodule_lungmask", label="finding", keep={"finding": ["malignant", "normal"]}
    )
    assert class_counts(task) == {"malignant": 100, "normal": 93}


def test_the_real_x_rays_have_the_patients_that_are_published(shared_data):
    (task,) = load_tasks(shared_data / "cxr_nih1000")
    assert len(set(task.patients)) == 264
    first, second = (set(members) for members in task.members)
    assert len(first & second) == 68


def test_a_manifest_names_arrays_of_archives(tmp_path):
    task = textured(1, patients=3, size=12, depth=10)
    names = write_volumes(task, tmp_path)
    cells = [(f"{name}{mark}", label) for name in names for mark, label in (("", "scan"), ("#mask", "outline"))]
    (read,) = load_tasks(write_manifest(tmp_path / "task.csv", [("image", "label"), *cells]))
    assert len(read) == 12
    assert len(set(read.patients)) == 6, "two arrays of one file are of one patient"
    scans = read.batch(np.flatnonzero(read.labels == read.classes.index("scan")), VOLUME)
    assert scans.equal(task.batch(np.arange(6), VOLUME))


def test_a_manifest_that_names_an_array_of_no_file_is_refused(tmp_path):
    manifest = write_manifest(tmp_path / "task.csv", [("image", "label"), ("a.npz#flair", "x"), ("b.npz", "y")])
    with pytest.raises(InputError, match=r"a\.npz#flair, which does not exist \(2 of 2"):
        load_tasks(manifest)
