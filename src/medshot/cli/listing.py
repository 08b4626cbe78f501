"""What `medshot learners` does: every learner, with what it says of itself."""

from collections.abc import Iterable, Sequence
from itertools import groupby
from typing import Any

import torch
from rich import box
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from medshot.learners import create

FAMILIES = ("Meta-GD", "Meta-NN", "Meta-SVM", "Meta-RF", "choice", "baseline")
LEGEND = (
    "Meta-trained: how the gradient of the loss after adaptation is taken; 'no' adapts as it is. Inductive: a query's "
    "prediction does not depend on the other queries."
)

Facts = dict[str, Any]


def learner_facts(names: Iterable[str]) -> list[Facts]:
    """What these learners say of themselves, family by family; families that are not built in come last."""
    facts = [_facts_of(name) for name in names]
    families = (*FAMILIES, *sorted({learner["family"] for learner in facts} - {*FAMILIES}))
    return sorted(facts, key=lambda learner: families.index(learner["family"]))


def print_learners(facts: Sequence[Facts]) -> None:
    """The learners as a table, family by family."""
    table = Table(
        "Learner", "What it does", "Meta-trained", "Inductive", box=box.SIMPLE, caption=LEGEND, caption_justify="left"
    )
    for column in (0, 2, 3):
        table.columns[column].no_wrap = True
    for family, learners in groupby(facts, key=lambda learner: learner["family"]):
        table.add_row(f"[bold]{escape(family)}")
        for learner in learners:
            published = escape(f"{learner['paper']}; adapting costs {learner['cost']}")
            table.add_row(
                learner["name"],
                f"{escape(learner['summary'])}\n[dim]{published}[/]",
                learner["gradient"] or "no",
                "yes" if learner["inductive"] else "no",
            )
        table.add_section()
    Console().print(table)


def _facts_of(name: str) -> Facts:
    # A learner's settings decide how its gradient is taken, so one is made; on the meta device that costs nothing.
    with torch.device("meta"):
        learner = create(name)
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
