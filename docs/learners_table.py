"""Write docs/learners.md: every learner that comes with medshot, and when to use which family.

    python docs/learners_table.py

Run it again after a change of what a learner says of itself; a test sees that the page is up to date.
"""

from itertools import groupby
from pathlib import Path

from medshot.cli.listing import FAMILIES, Facts, learner_facts
from medshot.learners import LEARNERS
from medshot.learners.registry import BUILT_IN
from medshot.storage import write_bytes

PAGE = Path(__file__).parent / "learners.md"

START = """# Learners

Written by `python docs/learners_table.py` from what the learners say of themselves; do not edit.
`medshot learners` prints the same, with learners of your own ([your-own-learner.md](your-own-learner.md)) and
of installed packages; `--json` gives it to programs.

*Meta-trained* says how the gradient of the loss after adaptation is taken: *exact* through all of `adapt`,
*first-order* past the gradients inside it, *implicit* at the solution that it reaches. A learner with *no*
there is used as it is: `medshot adapt DATA --learner NAME`. All others are first meta-trained:
`medshot meta-train TASKS --learner NAME --out RUN`. *Inductive* means that a query's prediction does not depend
on the other queries. Unless they are told otherwise, the commands give every learner the features of a frozen
encoder ([data.md](data.md)).
"""

WHEN = {
    "Meta-GD": """Adaptation is a few gradient steps on the support, from a start, with rates or by a rule that
were learned across tasks. Use these when the meta-training tasks resemble the new one and a class has about
five patients or more: what was learned then tells the steps where to go, and they can change the features, not
only the boundary between classes. They are the slowest to adapt of the learned families, though that still
means seconds.""",
    "Meta-NN": """A network compares the query with the support, or reads the support and sets itself for it;
nothing is fitted step by step. Use these with one to five patients per class, when many tasks must be adapted
to quickly, and as the first thing to try: they have few settings that can be wrong for a new task.""",
    "Meta-SVM": """Adaptation is a convex problem with one solution, the maximum-margin classifier of the
support, and what is learned across tasks is the features, the kernel or the settings that an expert would
choose by experience. Use these where the images nearest to the other class should decide and not the average
one, with about five patients per class or more. The same support gives the same boundary, whatever was drawn at
random.""",
    "Meta-RF": """A forest is grown on each support, with settings, features or a prior that other tasks taught.
Use these when thresholds on single features carry the finding, as in tables of measurements given in place of
images, and from about ten patients per class; with fewer, the other families have more to go on.""",
    "choice": """What past tasks and the support speak for, as a mixture: [auto.md](auto.md). Use it where nobody is
there to try learners and encoders out.""",
    "baseline": """Nothing is learned across tasks. Run `logistic` beside whatever you meta-train: a
meta-learned method must beat it on the same features to deserve to exist, and [evaluation.md](evaluation.md)
says how to tell. Use a baseline itself when there are no other tasks to learn from.""",
}


def main() -> None:
    """Write the page."""
    write_bytes(PAGE, page().encode())
    print(PAGE)


def page() -> str:
    """The page in full."""
    facts = learner_facts([*(learner.name for learner in BUILT_IN), "auto"])
    families = groupby(facts, key=lambda learner: learner["family"])
    return "\n".join([START, *(part for family, learners in families for part in section(family, list(learners)))])


def section(family: str, learners: list[Facts]) -> list[str]:
    """One family: its name, when to use it, and a row for each learner."""
    return [
        f"## {family if family != FAMILIES[-1] else 'Baselines'}\n",
        f"{WHEN[family]}\n",
        "| learner | what it does | published | meta-trained | inductive | adapting costs |",
        "|---|---|---|---|---|---|",
        *map(row, learners),
        "",
    ]


def row(learner: Facts) -> str:
    """A learner's row, its name leading to its source."""
    source = f"../src/{LEARNERS[learner['name']].__module__.replace('.', '/')}.py"
    columns = [
        f"[`{learner['name']}`]({source})",
        learner["summary"],
        learner["paper"],
        learner["gradient"] or "no",
        "yes" if learner["inductive"] else "no",
        learner["cost"],
    ]
    return f"| {' | '.join(column.replace('|', chr(92) + '|') for column in columns)} |"


if __name__ == "__main__":
    main()
