"""Every learner by its name. Adding one is a file and a line here."""

from pathlib import Path
from types import MappingProxyType
from typing import Any, TypeVar

import torch

from medshot.errors import InputError, StorageError
from medshot.learners.base import Learner
from medshot.learners.baselines.logistic import Logistic
from medshot.learners.baselines.scratch import Scratch
from medshot.learners.gradient.metal import Metal
from medshot.learners.gradient.metal_reference import MetalReference
from medshot.learners.record import IMAGES, LEARNER, FolderRecord, read_checked, read_folder

AnyLearner = TypeVar("AnyLearner", bound=Learner)

_REGISTERED: dict[str, type[Learner]] = {}
LEARNERS: MappingProxyType[str, type[Learner]] = MappingProxyType(_REGISTERED)
BUILT_IN: tuple[type[Learner], ...] = (Metal, MetalReference, Scratch, Logistic)


def register(learner: type[AnyLearner]) -> type[AnyLearner]:
    """Make a learner known by its name; a decorator for the class.

    Raises:
        InputError: another learner has that name.
    """
    if LEARNERS.get(learner.name, learner) is not learner:
        raise InputError(f"There is a learner '{learner.name}' already; give yours another name.")
    _REGISTERED[learner.name] = learner
    return learner


for built_in in BUILT_IN:
    register(built_in)


def create(name: str, *, preset: str | None = None, seed: int = 0, **settings: Any) -> Learner:
    """A new learner of that name.

    Args:
        name: a key of `LEARNERS`.
        preset: "reference" makes "metal" the published program, the learner "metal-reference".
        seed: of its random initial parameters; the global random state is left as it was.
        settings: keyword arguments of the learner's class.

    Raises:
        InputError: there is no such learner, or it has no such setting.
    """
    name = f"{name}-{preset}" if preset else name
    if name not in LEARNERS:
        raise InputError(f"'{name}' is no learner; choose one of {', '.join(LEARNERS)}.")
    try:
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            return LEARNERS[name](**settings)
    except TypeError as error:
        raise InputError(f"Learner '{name}' cannot be made with {settings} ({error}); check the names.") from error


def load_learner(folder: str | Path) -> Learner:
    """The learner of a run folder.

    Raises:
        StorageError: the folder is not a finished run, is damaged, or is of another version.
    """
    folder = Path(folder)
    record = read_folder(folder, "run")
    learner = rebuild(folder, record)
    learner.seen = read_checked(folder, record, IMAGES)
    return learner


def rebuild(folder: Path, record: FolderRecord) -> Learner:
    """The learner that a folder's record describes, with the parameters beside it."""
    arrays = read_checked(folder, record, LEARNER)
    description = record.learner
    try:
        # On the meta device nothing is allocated, whatever size the record claims.
        with torch.device("meta"):
            learner = create(description.name, shape=description.shape, **description.settings)
        learner.load_state_dict({name: torch.from_numpy(value.copy()) for name, value in arrays.items()}, assign=True)
    except (InputError, TypeError, ValueError, RuntimeError) as error:
        raise StorageError(
            f"{folder} holds a '{description.name}' learner whose parameters do not fit its record; make it anew."
        ) from error
    learner.training_record = description.training
    return learner.eval()
