"""Find the numbers of shots for which a task has enough patients, and name those that are left out."""

from collections.abc import Callable, Sequence

from medshot.errors import TooFewPatients
from medshot.tasks import Episode, Task

Draw = Callable[[Task, int], list[Episode]]


def draw_feasible(
    tasks: Sequence[Task], shots: Sequence[int], draw: Draw
) -> tuple[list[tuple[Task, int, list[Episode]]], list[str]]:
    """Draw the episodes of every task at every number of shots that it has patients for.

    A task with too few patients for all of these numbers gets the largest number that it has patients for. A task that
    has patients for none is left out, unless it is the only one.

    Args:
        tasks: the tasks.
        shots: numbers of labelled patients per class.
        draw: returns the episodes of a task at a number of shots.

    Returns:
        Each task with its number of shots and episodes, and a sentence for everything that was left out.

    Raises:
        TooFewPatients: no task has patients for any episode.
    """
    found: list[tuple[Task, int, list[Episode]]] = []
    sentences: list[str] = []
    error: TooFewPatients | None = None
    for task in tasks:
        drawn: list[tuple[Task, int, list[Episode]]] = []
        missing: list[int] = []
        for number in shots:
            try:
                drawn.append((task, number, draw(task, number)))
            except TooFewPatients as refusal:
                error = refusal
                missing.append(number)
        if missing:
            rarest = min(range(len(task.classes)), key=lambda c: len(task.members[c]))
            size = len(task.members[rarest])
            why = f"because class '{task.classes[rarest]}' has {size} {'patient' if size == 1 else 'patients'}"
            left_out = f"Task '{task.name}' is not evaluated at {_listed(missing)} shots, {why} for support and query"
            if not drawn:
                drawn = _most(task, min(missing) - 1, draw)
                instead = f"at {drawn[0][1]} instead, the most that there are" if drawn else "so it is left out"
                left_out = f"{left_out}; {'it is evaluated ' if drawn else ''}{instead}"
            sentences.append(f"{left_out}.")
        found += drawn
    if not found and error is not None:
        raise error
    return found, sentences


def _most(task: Task, below: int, draw: Draw) -> list[tuple[Task, int, list[Episode]]]:
    """Return the task at the largest number of shots up to `below` that it has patients for, if there is one."""
    for number in range(min(below, min(map(len, task.members)) - 1), 0, -1):
        try:
            return [(task, number, draw(task, number))]
        except TooFewPatients:
            continue
    return []


def _listed(numbers: Sequence[int]) -> str:
    *others, last = map(str, numbers)
    return f"{', '.join(others)} and {last}" if others else last
