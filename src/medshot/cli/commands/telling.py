"""The sub-commands that tell what there is."""

from pathlib import Path
from typing import Annotated

import typer

from medshot.cli.options import Json, note, write_out


def learners(as_json: Json = False) -> None:
    """List all learners: what they do, where they were published, and what adapting them costs.

    Example: medshot learners --json
    """
    from medshot.cli.listing import learner_facts, print_learners
    from medshot.learners import LEARNERS

    found = learner_facts(LEARNERS)
    for sentence in LEARNERS.broken:
        note(sentence)
    if as_json:
        write_out(found)
    else:
        print_learners(found)


def info(
    folder: Annotated[Path, typer.Argument(help="Run or model folder.")],
    as_json: Json = False,
) -> None:
    """Say what a run or a model folder holds, without loading it.

    Example: medshot info run --json
    """
    from medshot.cli.describing import describe, facts

    if as_json:
        write_out(facts(folder))
    else:
        print(describe(folder))
