"""Load the tasks, images and learners that the options of a command name."""

import os
from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np
from jaxtyping import Int

from medshot.cli.checking import DEFAULT_ENCODER, NO_ENCODER, check_images, check_source, given
from medshot.cli.options import note
from medshot.encoders import WHOLE, EncodedBagInput, EncodedInput, encoders_of
from medshot.errors import InputError
from medshot.evaluation.overlap import overlaps
from medshot.imaging import (
    CUTS,
    ArrayImages,
    FileImages,
    ImageInput,
    ImageSource,
    InputSpec,
    SeveralImages,
    VolumeInput,
    all_image_paths,
    usual_cut,
)
from medshot.imaging.inspection import assumed_of, summarise
from medshot.learners import Learner, create_for, load_learner
from medshot.learners.creation import CHOICE
from medshot.process import in_threads
from medshot.selection.auto import Auto
from medshot.storage import printable_path
from medshot.tasks import MANIFEST_SUFFIXES, Task, read_images, sample_images
from medshot.tasks.columns import DataOptions
from medshot.tasks.reading import tasks_at

PIXEL_INPUTS: dict[int, tuple[type[ImageInput | VolumeInput], int]] = {2: (ImageInput, 64), 3: (VolumeInput, 32)}
"""The input for pictures and for volumes, with its default size."""


def input_spec(
    encoder: str | None = None,
    size: int | None = None,
    channels: int | None = None,
    dimensions: int | None = None,
    cut: str | None = None,
    images: int | None = None,
) -> InputSpec | None:
    """Return the input that the options ask for, features of encoders or pixels; None if no option is given.

    It is pixels if the encoder is "none", or if a size, channels or dimensions are given.

    Raises:
        InputError: there is no such encoder or cut, two options exclude each other, or a number is out of range.
    """
    check_images(encoder, size, channels, dimensions, cut, images)
    if encoder is None:
        if not given([size, channels, dimensions, cut, images]):
            return None
        encoder = DEFAULT_ENCODER if given([cut, images]) else NO_ENCODER
    if encoder != NO_ENCODER:
        encoders_of(encoder, "--encoder")
        return _encoded(encoder, cut, images)
    kind, side = PIXEL_INPUTS[dimensions or 2]
    return kind(channels=1 if channels is None else channels, size=side if size is None else size)


def _encoded(encoder: str, cut: str | None, images: int | None) -> InputSpec:
    """Return bags if a sample has several images or parts to pool, and otherwise one vector per image."""
    if cut in (None, WHOLE) and images is None:
        return EncodedInput(encoder)
    if cut in CUTS and not CUTS[cut].pooled and images is None:
        return EncodedInput(encoder, cut)
    return EncodedBagInput(encoder, cut or WHOLE, 1 if images is None else images)


def make_or_load(
    run: Path | None,
    name: str | None,
    spec: InputSpec | None,
    images: ImageSource,
    *,
    preset: str | None = None,
    seed: int = 0,
) -> Learner:
    """Return the learner of the run folder, or a new one of that name for these images.

    Raises:
        InputError: not exactly one of the two is given, or the learner must be meta-trained first.
    """
    check_source(run, name, preset)
    if run is not None:
        return load_learner(run)
    if name is None:
        raise InputError("There is no learner; give --from RUN or --learner NAME.")
    made = create_for(images, name, input_spec=spec, preset=preset, seed=seed)
    if made.family == CHOICE and made.input_spec.cut != (WHOLE if spec is None else spec.cut):
        cut = made.input_spec.cut
        note(f"These images look like ECG pages, so each is cut into its {cut} (as with --cut {cut}).")
    return made


def make_and_load(runs: Sequence[Path], names: Sequence[str], spec: InputSpec | None) -> dict[str, Learner]:
    """Return the learners of the run folders and the named ones, by the names that they get in a table.

    Named learners all take what the first run takes; without runs they take `spec`, or by default features of Lite0.
    """
    if not (runs or names):
        raise InputError("There is nothing to evaluate; give --learners, --from RUN, or both.")
    learners: dict[str, Learner] = {}
    for run in runs:
        learner = load_learner(run)
        name = learner.name if learner.name not in learners else f"{learner.name} ({printable_path(run)})"
        if name in learners:
            raise InputError(f"{run} is given twice; give each run once.")
        learners[name] = learner
    if learners:
        spec = next(iter(learners.values())).input_spec
    spec = spec or EncodedInput(DEFAULT_ENCODER)
    named = {name: create_for(None, name, input_spec=spec) for name in names}
    # a run may hold a learner of the same name
    return learners | {name if name not in learners else f"{name} (as it comes)": made for name, made in named.items()}


def note_cuts(learners: Iterable[Learner], tasks: Sequence[Task]) -> None:
    """Note the tasks whose images `medshot adapt` would cut if an `auto` among the learners takes images whole."""
    specs = [learner.input_spec for learner in learners if isinstance(learner, Auto)]
    if any(spec.encodes_whole for spec in specs):
        for task in tasks:
            if cut := usual_cut(task.images):
                note(f"Task '{task.name}' looks like ECG pages; medshot adapt would cut them for auto: --cut {cut}.")


def load_all(paths: Sequence[Path], options: DataOptions) -> list[Task]:
    """Load the tasks at the paths, and describe each and what was assumed on stderr.

    Raises:
        InputError: one cannot be loaded, or there is a table and several paths.
    """
    if options.table is not None and len(paths) > 1:
        raise InputError(f"--table labels the patients of one folder, but {len(paths)} are given; give one.")
    tasks = [task for path in paths for task in tasks_at(path, options)]
    for task in tasks:
        note(task.describe())
        for remark in task.remarks:
            note(f"{task.name}: {remark}")
    return tasks


def load_one(path: Path, options: DataOptions, command: str) -> Task:
    """Load the one task at the path, describe it and what was assumed; InputError if there are several."""
    tasks = load_all([path], options)
    if len(tasks) != 1:
        names = ", ".join(task.name for task in tasks)
        raise InputError(f"{path} holds {len(tasks)} tasks ({names}), but {command} takes one; give the path of one.")
    return tasks[0]


def note_assumptions(images: ImageSource) -> None:
    """Describe on stderr what reading the images had to assume, in one line."""
    match images:
        case FileImages(paths=paths):
            inspected = in_threads(assumed_of, paths, os.cpu_count() or 1)
        case SeveralImages(sources=sources):
            files = [path for source in sources.values() if isinstance(source, FileImages) for path in source.paths]
            inspected = in_threads(assumed_of, files, os.cpu_count() or 1)
        case _:
            return
    sentence = summarise(inspected)
    if sentence:
        note(f"{sentence} medshot check names the images.")


def shared_sentences(learner: Learner, task: Task) -> list[str]:
    """Return a sentence for each training of the learner or of its encoders that had images of the task."""
    return [
        f"{overlap.shared.sum()} of the {len(task)} images are among those that {overlap.what} "
        f"({overlap.identical.sum()} identical), so every score on them is too good."
        for overlap in overlaps(learner, task)
        if overlap.shared.any()
    ]


def images_of(task: Task, samples: Int[np.ndarray, " samples"]) -> ImageSource:
    """Return the images of these samples."""
    match task.images:
        case FileImages() | ArrayImages() | SeveralImages() as images:
            return images.take(task.rows[samples])
        case other:
            raise TypeError(f"{type(other).__name__} holds neither files nor an array")


def load_images(paths: Sequence[Path]) -> tuple[list[Path], FileImages | SeveralImages]:
    """Return the first file of each sample and the samples themselves, from files and folders or from one manifest."""
    if len(paths) == 1 and paths[0].suffix.lower() in MANIFEST_SUFFIXES:
        images = read_images(paths[0])
        return [next(filter(None, sample)) for sample in zip(*images.values(), strict=True)], sample_images(images)
    files = [file for path in paths for file in _files(path)]
    return files, FileImages(files)


def _files(path: Path) -> list[Path]:
    files = all_image_paths(path)
    if not files:
        raise InputError(f"{path} holds no image; check the path.")
    return files
