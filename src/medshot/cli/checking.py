"""Checks of commands before anything is loaded: names, paths and options that exclude each other.

Nothing here imports torch or reads an image, so a mistake in a command line is answered at once.
"""

import os
import sys
import tempfile
from collections.abc import Iterable, Mapping, Sequence
from importlib.metadata import entry_points
from pathlib import Path

from medshot.errors import InputError, StorageError, closest

NO_ENCODER = "none"
DEFAULT_ENCODER = "lite0"
AUTO = "auto"

# The names that options take. They repeat the keys of registries that are slow to import; a test compares them.
LEARNERS = (
    *("metal", "metal-reference", "maml", "fomaml", "anil", "meta-sgd", "reptile", "imaml", "proto-maml", "protonet"),
    *("ridge", "depth-ridge", "even-ridge", "film", "context", "matching", "relation", "meta-svm", "svm-prior"),
    *("meta-forest", "finetune", "finetune-last", "scratch", "logistic", "transductive-prototypes", "svm", "knn"),
    *("forest", "boosting", "auto"),
)
MUST_BE_META_TRAINED = (
    *("metal", "maml", "fomaml", "anil", "meta-sgd", "reptile", "imaml", "proto-maml", "protonet", "ridge", "film"),
    *("context", "matching", "relation", "meta-svm", "svm-prior", "meta-forest", "finetune", "finetune-last"),
)
"""Learners that no weights come with."""
ENCODERS = ("lite0", "medical")
ADAPTERS = ("timm", "hf", "open-clip")
CUTS = ("whole", "slices", "patches", "leads")
STRATEGIES = ("learned", "margin", "clue", "typical", "coverage", "random")
OBJECTIVES = ("supervised", "episodic", "self-supervised")
DEVICES = ("auto", "cpu", "cuda", "mps")
PARAMETERS = ("all", "modulation", "low-rank")


def check_learner(name: str, preset: str | None = None) -> None:
    """Raise InputError if there is no such learner; learners of other packages are left to the registry."""
    full = f"{name}-{preset}" if preset else name
    packages = {point.name for point in entry_points(group="medshot.learners")} - {AUTO}
    if full not in LEARNERS and not packages and "medshot.learners.registry" not in sys.modules:
        raise InputError(f"There is no learner '{full}'; choose one of {', '.join(LEARNERS)}.{closest(full, LEARNERS)}")


def check_ready(name: str, preset: str | None = None) -> None:
    """Raise InputError if there is no such learner, or if it must be meta-trained first."""
    check_learner(name, preset)
    if preset is None and name in MUST_BE_META_TRAINED:
        raise InputError(
            f"Learner '{name}' must be meta-trained first; give the folder of a run (--from RUN, see medshot "
            "meta-train)."
        )


def check_source(run: Path | None, learner: str | None, preset: str | None = None) -> None:
    """Raise an error unless exactly one of a run folder and a learner is given, and it exists."""
    if run is not None and learner is not None:
        raise InputError("--from and --learner exclude each other; give one of them.")
    if run is not None:
        if preset is not None:
            raise InputError("--preset is for --learner; leave it out, a run has its own settings.")
        check_folder(run, "run")
    if learner is not None:
        check_ready(learner, preset)


def check_shots(shots: int | None) -> None:
    """Raise InputError if the number of shots is given and below 1."""
    if shots is not None and shots < 1:
        raise InputError(f"shots is {shots}, but must be 1 or more.")


def check_one_of(value: str | None, allowed: Sequence[str], option: str) -> None:
    """Raise InputError if the value is given and not one of the allowed ones."""
    if value is not None and value not in allowed:
        raise InputError(f"{option} is '{value}', but must be one of {', '.join(allowed)}.{closest(value, allowed)}")


def check_encoder(name: str, option: str = "--encoder") -> None:
    """Raise InputError if a part of the name is neither an encoder, a prefix of a library, nor an encoder's folder."""
    from medshot.unfinished import RECORDS, is_unfinished, why_not

    if "medshot.encoders.registry" in sys.modules:  # it has the same sentence, and encoders that were added since
        return
    for part in [name] if Path(name).is_dir() else name.split("+"):
        if part in ENCODERS or part.partition(":")[0] in ADAPTERS:
            continue
        folder = Path(part)
        if "/" not in part and os.sep not in part and not folder.is_dir():
            libraries = ", ".join(f"{prefix}:NAME" for prefix in ADAPTERS)
            raise InputError(
                f"{option} is '{part}', but must be one of {', '.join(ENCODERS)}, the path of an encoder's "
                f"folder, {libraries}, or several of these joined by +.{closest(part, ENCODERS)}"
            )
        if is_unfinished(folder) and any(folder.iterdir()):
            raise StorageError(why_not(folder, "encoder"))
        if not (folder / RECORDS["encoder"]).is_file():
            raise InputError(f"{option} is '{part}', where there is no {RECORDS['encoder']}; check the path.")


def check_images(
    encoder: str | None,
    size: int | None,
    channels: int | None,
    dimensions: int | None,
    cut: str | None,
    images: int | None,
) -> None:
    """Raise InputError if an option about images has a wrong name or excludes another one."""
    pixels = {"--size": size, "--channels": channels, "--dimensions": dimensions}
    bags = {"--cut": cut, "--images": images}
    check_one_of(cut, CUTS, "cut")
    if encoder is None:
        encoder = NO_ENCODER if given(pixels.values()) and not given(bags.values()) else DEFAULT_ENCODER
    if encoder != NO_ENCODER:
        check_encoder(encoder)
        _refuse(pixels, f"are for pixels; leave them out, or --encoder {encoder}")
        return
    _refuse(bags, "need an encoder; leave them out, or leave out --encoder none")
    if dimensions not in (None, 2, 3):
        raise InputError(f"--dimensions is {dimensions}, but must be 2 for pictures or 3 for volumes.")


def given(options: Iterable[object]) -> bool:
    """Whether any of the options is given."""
    return any(value is not None for value in options)


def _refuse(options: Mapping[str, object], reason: str) -> None:
    """Raise InputError if any of the options is given."""
    if given(options.values()):
        *others, last = options
        raise InputError(f"{', '.join(others)} and {last} {reason}.")


def check_paths(paths: Iterable[Path]) -> None:
    """Raise InputError if one of the paths does not exist, or an archive that it lies in."""
    for path in paths:
        if not path.exists() and not any(above.is_file() for above in path.parents):
            raise InputError(f"{path} does not exist; check the path.")


def check_device(name: str) -> None:
    """Raise InputError if there is no such kind of device."""
    if name.partition(":")[0] not in DEVICES:
        raise InputError(f"device is '{name}', but must be auto, cpu, cuda or mps.")


def check_folder(folder: Path, kind: str) -> None:
    """Raise StorageError if the folder is not a finished run or model.

    Args:
        folder: the folder.
        kind: "run" or "model".
    """
    from medshot.unfinished import RECORDS, why_not

    if not (folder / RECORDS[kind]).is_file():
        raise StorageError(why_not(folder, kind))


def check_new(*paths: Path | None) -> None:
    """Raise StorageError if a path that is given exists already or cannot be created.

    Whether a folder can be written to is tried, because permissions do not show a read-only disk.
    """
    from medshot.storage import refuse_existing

    for path in filter(None, paths):
        refuse_existing(path)
        check_creatable(path)


def check_creatable(path: Path) -> None:
    """Raise StorageError if nothing can be created at this path."""
    above = next(folder for folder in path.absolute().parents if folder.exists())
    try:
        Path(tempfile.mkdtemp(prefix=".", suffix=".part", dir=above)).rmdir()
    except OSError as error:
        raise StorageError(f"{path} could not be created ({error.strerror}); choose another place.") from error


def check_training_folder(out: Path, record: str, *, resume: bool) -> None:
    """Raise StorageError if training cannot fill the folder: see `medshot.unfinished.check_unfinished`."""
    from medshot.unfinished import check_unfinished

    check_unfinished(out, record, resume=resume)
    check_creatable(out)
