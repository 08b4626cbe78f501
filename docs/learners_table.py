"""Write docs/learners.md, which lists every learner of medshot and explains when to use which family.

    python docs/learners_table.py

Run it again after changing the summary, paper, cost or gradient of a learner. A test fails if the page is out of date.
"""

from itertools import groupby
from pathlib import Path

from medshot.cli.learners import Facts, learner_facts
from medshot.learners import LEARNERS
from medshot.learners.registry import BUILT_IN
from medshot.storage import write_bytes

PAGE = Path(__file__).parent / "learners.md"

START = """# Learners

This page is for users who want to choose a learner and for researchers who want to read one. It lists every learner
that comes with medshot, family by family, and explains when to use which family. It is written by
`python docs/learners_table.py`; do not edit it.

`medshot learners` prints the same list, together with your own learners
([your-own-learner.md](your-own-learner.md)) and those of installed packages; `--json` prints it for programs.

The column *meta-trained* shows how the loss after adaptation is differentiated: *exact* through all of `adapt`;
*first-order*, with the gradients inside `adapt` treated as constants; or *implicit* at the solution that `adapt`
reaches. A learner with *no* in this column needs no meta-training: `medshot adapt DATA --learner NAME`. Meta-train all
other learners first: `medshot meta-train TASKS --learner NAME --out RUN`. *Inductive* means that a query's prediction
does not depend on the other queries. By default, the commands give every learner the features of a frozen encoder
([data.md](data.md)).
"""

HEADINGS = {"choice": "Automatic choice", "baseline": "Baselines"}

WHEN = {
    "Meta-GD": """Adaptation is a few gradient steps on the support. The start, the rates or the rule of the steps
were learned across tasks. Use this family if the meta-training tasks resemble the new task and each class has about
five patients or more. The steps can then change the features, and not only the boundary between classes. This is the
slowest meta-trained family to adapt, but adapting still takes only seconds.""",
    "Meta-NN": """A network compares the query with the support, or reads the support and adjusts itself to it,
without fitting step by step. Use this family with one to five patients per class, if many tasks must be adapted to
quickly, and as the first attempt: it has few settings that can be wrong for a new task.""",
    "Meta-SVM": """Adaptation solves a convex problem with one solution, the maximum-margin classifier of the support.
The features, the kernel or the settings that an expert would choose by experience are learned across tasks. Use this
family if the images closest to the other class should decide, and not the average image, with about five patients per
class or more. The same support always gives the same boundary, because adaptation has no random step.""",
    "Meta-RF": """A forest is grown on each support. Its settings, features or prior were learned on other tasks. Use
this family if thresholds on single features show the finding, as in tables of measurements instead of images, and from
about ten patients per class. With fewer patients, prefer another family.""",
    "choice": """A mixture of learners, weighted by past tasks and by the support ([auto.md](auto.md)). Use it if you
do not want to compare learners and encoders yourself.""",
    "baseline": """Nothing is learned across tasks. Run `logistic` beside every learner that you meta-train: a
meta-trained learner is only worth its cost if it beats `logistic` on the same features, and
[evaluation.md](evaluation.md) explains how to decide that. Use a baseline itself if there are no other tasks to learn
from.""",
}


def main() -> None:
    """Write the page."""
    write_bytes(PAGE, page().encode())
    print(PAGE)


def page() -> str:
    """Return the whole page."""
    facts = learner_facts([*(learner.name for learner in BUILT_IN), "auto"])
    families = groupby(facts, key=lambda learner: learner["family"])
    return "\n".join([START, *(part for family, learners in families for part in section(family, list(learners)))])


def section(family: str, learners: list[Facts]) -> list[str]:
    """Return the lines of one family: its name, when to use it, and a row for each learner."""
    return [
        f"## {HEADINGS.get(family, family)}\n",
        f"{WHEN[family]}\n",
        "| learner | what it does | published | meta-trained | inductive | adapting costs |",
        "|---|---|---|---|---|---|",
        *map(row, learners),
        "",
    ]


def row(learner: Facts) -> str:
    """Return the table row of a learner; its name links to its source code."""
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
