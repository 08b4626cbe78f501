"""Every learner by its name. Adding a built-in one is a file and a line here; others register themselves."""

import re
from collections.abc import Iterator, Mapping, Sequence
from importlib.metadata import EntryPoint, entry_points
from pathlib import Path
from types import ModuleType
from typing import Any, TypeVar

import torch

from medshot.errors import InputError, StorageError
from medshot.learners.base import Learner
from medshot.learners.baselines.linear import LinearSVM, Logistic
from medshot.learners.baselines.networks import Finetune, FinetuneLast, Scratch
from medshot.learners.baselines.prototypes import Neighbours, TransductivePrototypes
from medshot.learners.baselines.trees import Boosting, Forest
from medshot.learners.closed_form.depth_ridge import DepthRidge, EvenRidge
from medshot.learners.closed_form.ridge import Ridge
from medshot.learners.forest.meta_forest import MetaForest
from medshot.learners.gradient.imaml import Imaml
from medshot.learners.gradient.maml import Anil, Fomaml, Maml, MetaSgd, ProtoMaml
from medshot.learners.gradient.metal import Metal
from medshot.learners.gradient.metal_reference import MetalReference
from medshot.learners.gradient.reptile import Reptile
from medshot.learners.in_context import Context, Film
from medshot.learners.metric import MatchingNetwork, ProtoNet, RelationNetwork
from medshot.learners.serialization import IMAGES, LEARNER, FolderRecord, read_checked, read_folder
from medshot.learners.svm.meta_svm import MetaSVM, SVMPrior

AnyLearner = TypeVar("AnyLearner", bound=Learner)

GROUP = "medshot.learners"
FACTS = ("name", "family", "summary", "paper", "cost")
NAME = re.compile("[a-z0-9]+(-[a-z0-9]+)*")
GRADIENTS = ("exact", "first-order", "implicit", None)

BUILT_IN: tuple[type[Learner], ...] = (
    Metal,
    MetalReference,
    Maml,
    Fomaml,
    Anil,
    MetaSgd,
    Reptile,
    Imaml,
    ProtoMaml,
    ProtoNet,
    Ridge,
    DepthRidge,
    EvenRidge,
    Film,
    Context,
    MatchingNetwork,
    RelationNetwork,
    MetaSVM,
    SVMPrior,
    MetaForest,
    Finetune,
    FinetuneLast,
    Scratch,
    Logistic,
    TransductivePrototypes,
    LinearSVM,
    Neighbours,
    Forest,
    Boosting,
)


class Registry(Mapping[str, type[Learner]]):
    """Learners by their names.

    Installed packages announce theirs by entry points of the group "medshot.learners". They are imported when a name is
    not known yet, or when all are listed; one that cannot be is left out, and `broken` has a sentence for it.
    """

    def __init__(self) -> None:
        self._known: dict[str, type[Learner]] = {}
        self._broken: list[str] = []
        self._complete = False

    def __getitem__(self, name: str) -> type[Learner]:
        return self._known[name] if name in self._known else self._all()[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._all())

    def __len__(self) -> int:
        return len(self._all())

    @property
    def broken(self) -> Sequence[str]:
        """A sentence for each entry point that gives no learner."""
        self._all()
        return self._broken

    def add(self, learner: type[Learner]) -> None:
        """Make a learner known; one that is defined again, as in a notebook, takes the place of what it was.

        Raises:
            InputError: it does not say what it is, is unfinished, or has another learner's name.
        """
        check_facts(learner)
        known = self._known.get(learner.name, learner)
        if (known.__module__, known.__qualname__) != (learner.__module__, learner.__qualname__):
            raise InputError(f"There is a learner '{learner.name}' already; give yours another name.")
        self._known[learner.name] = learner

    def _all(self) -> dict[str, type[Learner]]:
        if not self._complete:
            self._complete = True
            for point in entry_points(group=GROUP):
                self._load(point)
        return self._known

    def _load(self, point: EntryPoint) -> None:
        try:
            loaded = point.load()
            if not isinstance(loaded, ModuleType):
                self.add(loaded)
        except Exception as error:  # whatever a stranger's module does wrong, the other learners stay usable
            package = point.dist.name if point.dist else point.value
            self._broken.append(
                f"The learner '{point.name}' of package {package} is left out ({described(error)}); mend the package "
                "or uninstall it."
            )


LEARNERS = Registry()


def register(learner: type[AnyLearner]) -> type[AnyLearner]:
    """Make a learner known by its name; a decorator for the class.

    Raises:
        InputError: it does not say what it is, is unfinished, or has another learner's name.
    """
    LEARNERS.add(learner)
    return learner


def check_facts(learner: type[Learner]) -> None:
    """See to it that a learner says what tables and commands need to know; InputError where it does not."""
    if not (isinstance(learner, type) and issubclass(learner, Learner)):
        raise InputError(f"{learner!r} is no learner; give a class that derives from medshot.Learner.")
    missing = [fact for fact in FACTS if not getattr(learner, fact, "")] + sorted(learner.__abstractmethods__)
    if missing:
        raise InputError(f"Learner {learner.__name__} lacks {', '.join(missing)}; see docs/your-own-learner.md.")
    if not NAME.fullmatch(learner.name):
        raise InputError(
            f"Learner {learner.__name__} is named '{learner.name}', but must be named by small letters, digits and "
            "hyphens, as it is typed on the command line."
        )
    if learner.gradient not in GRADIENTS:
        raise InputError(
            f"Learner '{learner.name}' has gradient {learner.gradient!r}; say exact, first-order or implicit, or None "
            "where nothing is meta-trained."
        )


def described(error: BaseException) -> str:
    """An error in one line."""
    return " ".join(f"{type(error).__name__}: {error}".split())


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
        sentence = f"'{name}' is no learner; choose one of {', '.join(LEARNERS)}."
        raise InputError(" ".join([sentence, *LEARNERS.broken]))
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
    learner.training_images = read_checked(folder, record, IMAGES)
    return learner


def rebuild(folder: Path, record: FolderRecord) -> Learner:
    """The learner that a folder's record describes, with the parameters beside it."""
    arrays = read_checked(folder, record, LEARNER)
    description = record.learner
    held = f"{folder} holds a '{description.name}' learner"
    if description.name not in LEARNERS:
        raise StorageError(
            f"{held}, which is not known here; import the file that registers it (medshot --import FILE COMMAND, or "
            "import in Python), or install its package."
        )
    try:
        input_spec = description.input_spec
        # On the meta device nothing is allocated, whatever size the record claims.
        with torch.device("meta"):
            learner = create(description.name, input_spec=input_spec, **description.settings)
        learner.load_state_dict({name: torch.from_numpy(value.copy()) for name, value in arrays.items()}, assign=True)
    except InputError as error:
        raise StorageError(f"{held}, which cannot be made here: {error}") from error
    except (TypeError, ValueError, RuntimeError) as error:
        raise StorageError(f"{held}, whose parameters do not fit its record; make it anew.") from error
    learner.training_record = description.training
    return learner.eval()
