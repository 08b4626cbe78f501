"""The inputs of a batch of predictions: one sample per image or row, and the files that were left out."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Literal, get_args

from medshot.errors import InputError
from medshot.imaging import all_image_paths, split_member
from medshot.imaging.folders import keys_of, unread_files
from medshot.storage import printable_path
from medshot.tasks import MANIFEST_SUFFIXES
from medshot.tasks.columns import DataOptions
from medshot.tasks.manifest import Manifest, read_manifest

By = Literal["patient", "study"]

_TWICE = "a second time"  # what a manifest's reader says of a row that repeats an image


@dataclass(frozen=True)
class Sample:
    """One input of a prediction.

    Args:
        image: the first file, as text, by which its row is recognised.
        files: the files by the names of their images; the name of a single image is "".
        group: the patient or the study, if rows are put together; "" if it is unknown.
        problem: why it cannot be predicted, if that is known before it is read.
    """

    image: str
    files: tuple[tuple[str, Path], ...] = ()
    group: str = ""
    problem: str = ""


@dataclass
class BatchInputs:
    """The samples of a batch.

    Args:
        samples: one for each row, in order.
        left_out: how many files in folders are no images, by suffix or well-known name.
        repeated: how many inputs were given before; each is a sample once.
    """

    samples: list[Sample] = field(default_factory=list)
    left_out: Counter[str] = field(default_factory=Counter)
    repeated: int = 0

    def describe(self) -> list[str]:
        """Return a sentence on repeated inputs and one on files that were left out, each only if there are some."""
        sentences = []
        if self.repeated:
            sentences.append(f"{self.repeated} inputs were given more than once; each has one row.")
        if self.left_out:
            kinds = ", ".join(f"{count} {kind}" for kind, count in sorted(self.left_out.items()))
            sentences.append(f"Left out {self.left_out.total()} files that are not images: {kinds}.")
        return sentences


def list_inputs(paths: Sequence[Path | str], by: By | None = None) -> BatchInputs:
    """List the images of files and folders, or the rows of one manifest; none is read.

    Args:
        paths: files and folders of images, or one manifest, whose samples may have several images each.
        by: also find the patient or the study: of a manifest by the column of that name, otherwise by DICOM headers.

    Raises:
        InputError: there is no image, no path exists, or the manifest cannot be read as one.
    """
    places = [Path(path) for path in paths]
    if by is not None and by not in get_args(By):
        raise InputError(f"by is '{by}', but must be one of {', '.join(get_args(By))}.")
    if not any(split_member(path)[0].exists() for path in places):
        raise InputError(f"{', '.join(map(printable_path, places)) or 'no path'} does not exist; check the path.")
    inputs = BatchInputs()
    if len(places) == 1 and places[0].suffix.lower() in MANIFEST_SUFFIXES:
        _add_manifest(inputs, places[0], by)
    else:
        for path in places:
            _add_path(inputs, path)
    _drop_repeated(inputs)
    if not inputs.samples:
        left_out = " ".join(inputs.describe())
        raise InputError(f"{', '.join(map(printable_path, places))} holds no image; check the path. {left_out}".strip())
    if by is not None:
        inputs.samples = [sample if sample.group else _of_header(sample, by) for sample in inputs.samples]
    return inputs


def _add_path(inputs: BatchInputs, path: Path) -> None:
    try:
        found = all_image_paths(path)
        inputs.left_out += unread_files(path)
    except OSError as error:
        raise InputError(f"{path} could not be searched ({error}); check that you may read it.") from error
    for file in found:
        is_table = file.suffix.lower() in MANIFEST_SUFFIXES
        problem = f"{file} is a table; give one manifest by itself." if is_table else ""
        inputs.samples.append(Sample(printable_path(file), (("", file),), problem=problem))


def _add_manifest(inputs: BatchInputs, path: Path, by: By | None) -> None:
    manifest = read_manifest(path, DataOptions(label=None))
    groups = _groups_of(manifest, by)
    images = manifest.images()
    rows: list[tuple[int, Sample]] = []
    for row, line in enumerate(manifest.lines):
        files = tuple((name, file) for name, of_name in images.items() if (file := of_name[row]))
        rows.append((line, Sample(printable_path(files[0][1]), files, groups[row] if groups else "")))
    for problem in manifest.harmful:
        if _TWICE in problem.what:
            inputs.repeated += 1
        else:
            where = f"{printable_path(path)} line {problem.line}"
            rows.append((problem.line, Sample(where, problem=f"{where} {problem.what}.")))
    inputs.samples = [sample for _, sample in sorted(rows, key=lambda pair: pair[0])]


def _groups_of(manifest: Manifest, by: By | None) -> Sequence[str] | None:
    """Return the patient or the study of each row; None if the manifest has no such column."""
    if by is None:
        return None
    return manifest.patients if by == "patient" else manifest.columns.get(by)


def _drop_repeated(inputs: BatchInputs) -> None:
    """Keep the first of the samples with the same files, under any spelling of their paths."""
    kept: dict[object, Sample] = {}
    for sample in inputs.samples:
        kept.setdefault(tuple((name, _resolved(file)) for name, file in sample.files) or sample.image, sample)
    inputs.repeated += len(inputs.samples) - len(kept)
    inputs.samples = list(kept.values())


def _resolved(file: Path) -> str:
    try:
        return str(file.resolve())
    except (OSError, RuntimeError):  # a loop of links, or a name that is too long
        return str(file)


def _of_header(sample: Sample, by: By) -> Sample:
    found = (keys_of(split_member(file)[0])[by] for _, file in sample.files)
    return replace(sample, group=next(filter(None, found), ""))
