"""The registry of learners by name. A built-in learner is a file and a line here; others register themselves."""

import re
from collections.abc import Iterator, Mapping, Sequence
from importlib.metadata import EntryPoint, entry_points
from types import ModuleType
from typing import TypeVar

from medshot.errors import InputError
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

    Installed packages announce theirs by entry points of the group "medshot.learners". They are imported if a name is
    not registered yet, or if all are listed. One that cannot be imported is left out, and `broken` explains why.
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
        """Return a sentence for each entry point that gives no learner."""
        self._all()
        return self._broken

    def add(self, learner: type[Learner]) -> None:
        """Add a learner; one that is defined again, as in a notebook, replaces the earlier one.

        Raises:
            InputError: a class attribute or method is missing, or another learner has its name.
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
        except Exception as error:  # any error of another package's module leaves the other learners usable
            package = point.dist.name if point.dist else point.value
            self._broken.append(
                f"The learner '{point.name}' of package {package} is left out ({in_one_line(error)}); mend the package "
                "or uninstall it."
            )


LEARNERS = Registry()


def register(learner: type[AnyLearner]) -> type[AnyLearner]:
    """Add a learner to `LEARNERS`; a decorator for its class.

    Raises:
        InputError: a class attribute or method is missing, or another learner has its name.
    """
    LEARNERS.add(learner)
    return learner


def check_facts(learner: type[Learner]) -> None:
    """Check that a learner has what tables and commands show.

    Raises:
        InputError: a class attribute or method is missing or wrong.
    """
    if not (isinstance(learner, type) and issubclass(learner, Learner)):
        raise InputError(f"{learner!r} is not a learner; give a class that derives from medshot.Learner.")
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
            f"Learner '{learner.name}' has gradient {learner.gradient!r}; give exact, first-order or implicit, or None "
            "if nothing is meta-trained."
        )


def in_one_line(error: BaseException) -> str:
    """Return an error in one line."""
    return " ".join(f"{type(error).__name__}: {error}".split())


for built_in in BUILT_IN:
    register(built_in)
