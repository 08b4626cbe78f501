"""The layout of a folder: whether its folders are classes or patients, and which files are left out."""

import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from medshot.imaging import image_paths
from medshot.imaging.formats import CSV, FORMATS, has_name_of
from medshot.storage import printable_path

_PERSON = re.compile("p|pat|patient|patienten|pt|s|sub|subj|subject|case|id|mrn|tcga|person")
"""Words before the number in the names of patients' folders."""
_CLASS = re.compile("grade|stage|class|type|label|level|category|cat|score|fold|birads")
_MANY = 8  # folders of a class: fewer may be the classes of a task
PARTS = frozenset((*(end for known in FORMATS for end in known.data), ".raw", ".zraw"))
"""Ends of files that hold the voxels of another file."""
PICTURES = re.compile(r"\.(bmp|gif|webp|heic|heif|jp2|j2k|avif|svg|psd|npy)")
"""Ends of files that may hold pictures."""
_SYSTEM = frozenset(("Thumbs.db", "desktop.ini"))


def are_patients(names: Mapping[str, Sequence[str]]) -> bool:
    """Whether folders within class folders are patients, by their names; otherwise each class folder is a data set.

    Patients are numbered, with the same word before the number in every class, and most are in one class only.

    Args:
        names: the names of the folders within each class folder.
    """
    every = [name for of_class in names.values() for name in of_class]
    words = {_word(name) for name in every}
    if len(names) < 2 or len(words) > 1 or not all(re.search(r"\d", name) for name in every):
        return False
    (word,) = words
    if _CLASS.fullmatch(word):
        return False
    shared = sum(count > 1 for count in Counter(every).values())
    if 2 * shared < len(set(every)):
        return True
    return _PERSON.fullmatch(word) is not None or min(map(len, names.values())) >= _MANY


def hold_classes(names: Mapping[str, Sequence[str]]) -> bool:
    """Whether folders are patients that hold a folder for each class, as in `P001/tumour`, by their names.

    The classes are the same for most patients and not all numbered, as studies and visits are.

    Args:
        names: the names of the folders within each folder.
    """
    counts = Counter(name for inside in names.values() for name in inside)
    shared = sum(count > 1 for count in counts.values())
    numbered = all(re.search(r"\d", name) for name in counts)
    return (
        len(names) > 2 and named_like_patients(names) and not numbered and len(counts) > 1 and 2 * shared > len(counts)
    )


def named_like_patients(names: Iterable[str]) -> bool:
    """Whether all names are a word for patients and a number, such as `P001` or `patient 12`, or a long number."""
    names = list(names)
    numbered = all(
        re.search(r"\d", name) and (_PERSON.fullmatch(_word(name)) or re.fullmatch(r"\d{3,}", name)) for name in names
    )
    return len(names) > 1 and numbered


def classes_are_patients(classes: Sequence[str], patients: Sequence[int], images: int) -> str:
    """Return the sentence on classes that seem to be patients, "" if they do not.

    Args:
        classes: their names.
        patients: the number of patients of each.
        images: the number of images of all.
    """
    if set(patients) == {1} and images > len(classes):
        return f"Each of the {len(classes)} classes holds images of one patient only, so the folders may be patients."
    if len(classes) > 2 and named_like_patients(classes):
        return f"The {len(classes)} classes are named like patients ('{classes[0]}', '{classes[1]}')."
    return ""


def _word(name: str) -> str:
    """Return the letters that a name starts with."""
    found = re.match(r"[^\W\d_]+", name)
    return found[0].casefold() if found else ""


def left_out_files(folder: Path, images: Iterable[Path]) -> dict[str, int]:
    """Count the files of a folder that are no image of its task, by what they are; nothing hidden, no tables.

    Args:
        folder: the folder of the task.
        images: its images; all files of a folder that is one image belong to it.
    """
    used = set(images)
    counts: Counter[str] = Counter()

    def visit(place: Path) -> None:
        unused = {*image_paths(place)} - used
        for child in place.iterdir():
            if child.name.startswith(".") or child in used:
                continue
            if child in unused:
                inside = f"images in '{printable_path(place.name)}'"
                counts[inside if place != folder else "images outside the classes"] += 1
            elif child.is_dir():
                visit(child)
            elif not has_name_of(child, CSV) and child.suffix.lower() not in PARTS and child.name not in _SYSTEM:
                counts[child.suffix.lower() or "no suffix"] += 1

    visit(folder)
    return dict(sorted(counts.items()))


def left_out_remark(counts: Mapping[str, int]) -> str:
    """Return the sentence on the files that were left out, by what they are."""
    kinds = ", ".join(f"{kind}: {count}" for kind, count in counts.items())
    total = sum(counts.values())
    what = "file is left out, because it is" if total == 1 else "files are left out, because they are"
    return f"{total} {what} no image of a class ({kinds})."
