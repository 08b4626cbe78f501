"""`auto` is scored as if it had never heard of the data sets that it is scored on."""

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager

from medshot.learners import Learner
from medshot.selection.auto import Auto
from medshot.selection.outcomes import known_outcomes, without
from medshot.tasks import Task


@contextmanager
def unknowing(learners: Iterable[Learner], tasks: Sequence[Task]) -> Iterator[None]:
    """Within it, each `auto` among the learners knows nothing of how any learner did on these tasks' data sets."""
    every = [learner for learner in learners if isinstance(learner, Auto)]
    before = [each.outcomes for each in every]
    try:
        for each, outcomes in zip(every, before, strict=True):
            each.outcomes = without(known_outcomes() if outcomes is None else outcomes, tasks)
        yield
    finally:
        for each, outcomes in zip(every, before, strict=True):
            each.outcomes = outcomes
