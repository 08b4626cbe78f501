"""`medshot learners`: list every learner with its family, its paper and its cost."""

from collections.abc import Iterable, Sequence
from itertools import groupby
from typing import Any

from medshot.cli.options import Json, note, print_json

FAMILIES = ("Meta-GD", "Meta-NN", "Meta-SVM", "Meta-RF", "choice", "baseline")
LEGEND = (
    "Meta-trained: how the gradient of the loss after adaptation is computed; 'no' means that the learner needs no "
    "meta-training. Inductive: the prediction for a query does not depend on the other queries."
)

Facts = dict[str, Any]


def learners(as_json: Json = False) -> None:
    """List all learners: what they do, where they were published, and what adapting them costs.

    Example: medshot learners --json
    """
    from medshot.learners import LEARNERS

    facts = learner_facts(LEARNERS)
    for sentence in LEARNERS.broken:
        note(sentence)
    if as_json:
        print_json(facts)
    else:
        _print_table(facts)


def learner_facts(names: Iterable[str]) -> list[Facts]:
    """Return the facts of these learners, family by family; families that are not built in come last."""
    facts = [_facts_of(name) for name in names]
    families = (*FAMILIES, *sorted({learner["family"] for learner in facts} - {*FAMILIES}))
    return sorted(facts, key=lambda learner: families.index(learner["family"]))


def _facts_of(name: str) -> Facts:
    from medshot.learners import create

    learner = create(name)  # how the gradient is computed depends on settings
    return {
        "name": learner.name,
        "family": learner.family,
        "summary": learner.summary,
        "paper": learner.paper,
        "meta_trained": learner.gradient is not None,
        "gradient": learner.gradient,
        "inductive": learner.inductive,
        "cost": learner.cost,
    }


def _print_table(facts: Sequence[Facts]) -> None:
    from rich import box
    from rich.console import Console
    from rich.markup import escape
    from rich.table import Table

    table = Table(
        "Learner", "What it does", "Meta-trained", "Inductive", box=box.SIMPLE, caption=LEGEND, caption_justify="left"
    )
    for column in (0, 2, 3):
        table.columns[column].no_wrap = True
    for family, members in groupby(facts, key=lambda learner: learner["family"]):
        table.add_row(f"[bold]{escape(family)}")
        for learner in members:
            published = escape(f"{learner['paper']}; adapting costs {learner['cost']}")
            table.add_row(
                learner["name"],
                f"{escape(learner['summary'])}\n[dim]{published}[/]",
                learner["gradient"] or "no",
                "yes" if learner["inductive"] else "no",
            )
        table.add_section()
    Console().print(table)
