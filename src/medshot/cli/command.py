"""The common part of all commands: --quiet and --verbose, and one sentence if Ctrl-C stops it."""

import inspect
from collections.abc import Callable
from functools import wraps
from pathlib import Path
from typing import Annotated, Any

import typer

from medshot.cli.partial_table import partial_path
from medshot.errors import InputError, Interrupted
from medshot.progress import printing

OUTPUT = "Output"

Quiet = Annotated[
    bool, typer.Option("--quiet", help="Print results and errors only: no notes, no progress.", rich_help_panel=OUTPUT)
]
Verbose = Annotated[
    bool,
    typer.Option(
        "--verbose", help="Print the time before each line of progress, for logs of batch jobs.", rich_help_panel=OUTPUT
    ),
]
EXIT_CODES = "Exit codes: 0 done, 1 failed, 2 wrong input or command line, 130 stopped by Ctrl-C."


def as_command(name: str, function: Callable[..., None]) -> Callable[..., None]:
    """Return the function with the options --quiet and --verbose, which says in one sentence that it was stopped."""

    @wraps(function)
    def command(*arguments: Any, quiet: bool = False, verbose: bool = False, **options: Any) -> None:
        if quiet and verbose:
            raise InputError("--quiet and --verbose exclude each other; give one of them.")
        try:
            with printing(name, quiet=quiet, verbose=verbose):
                function(*arguments, **options)
        except KeyboardInterrupt as stop:
            raise Interrupted(_stopped(options.get("out"))) from stop

    parameters = [
        inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, default=False, annotation=kind)
        for name, kind in (("quiet", Quiet), ("verbose", Verbose))
    ]
    signature = inspect.signature(function)
    command.__signature__ = signature.replace(  # type: ignore[attr-defined]
        parameters=[*signature.parameters.values(), *parameters]
    )
    command.__annotations__ = {**function.__annotations__, "quiet": Quiet, "verbose": Verbose}
    return command


def _stopped(out: Path | None) -> str:
    """Return the sentence after Ctrl-C; training may have left a checkpoint, every other command writes at its end."""
    from medshot.unfinished import describe_progress, is_unfinished

    if out is not None and is_unfinished(out) and any(out.iterdir()):
        return f"Stopped by Ctrl-C: {out} is unfinished, {describe_progress(out)}; add --resume to continue it."
    if out is not None and partial_path(out).exists():
        return f"Stopped by Ctrl-C: {partial_path(out)} holds the rows so far; add --resume to continue it."
    if out is not None and out.exists():
        return f"Stopped by Ctrl-C; {out} is not complete."
    return "Stopped by Ctrl-C; nothing was written."
