"""The `medshot` command: its sub-commands, and how errors become one sentence and an exit code."""

import os
import sys
from io import TextIOWrapper
from pathlib import Path
from typing import Annotated, Any

import typer

from medshot.cli import commands
from medshot.errors import Interrupted, MedshotError

# All that can be wrong with a command line; of these kinds of error Typer exports one alone.
UsageError: Any = typer.BadParameter.__mro__[1]

app = typer.Typer(
    name="medshot",
    help="Learn once from many medical imaging tasks, then adapt to a new one from a handful of labelled images.\n\n"
    "For research, not a medical device. Start with: medshot quickstart",
    add_completion=False,
    pretty_exceptions_enable=False,
)
app.command("quickstart")(commands.quickstart)
app.command("check")(commands.check)
app.command("meta-train")(commands.meta_train)
app.command("train-encoder")(commands.train_encoder)
app.command("adapt")(commands.adapt)
app.command("predict")(commands.predict)
app.command("next")(commands.next_images)
app.command("evaluate")(commands.evaluate)
app.command("forecast")(commands.forecast)
app.command("learners")(commands.learners)
app.command("info")(commands.info)


@app.callback()
def before_any_command(
    imports: Annotated[
        list[Path] | None,
        typer.Option(
            "--import", envvar="MEDSHOT_IMPORT", help="Python file that registers a learner; may be repeated."
        ),
    ] = None,
) -> None:
    """Make the learners in the user's own files known."""
    if imports:
        from medshot.cli.importing import import_file

        for path in imports:
            import_file(path)


def main() -> None:
    """Run the command line: exit 0 when done, 1 when it failed, 2 when the input or the command line is wrong."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")
    try:
        sys.exit(app(sys.argv[1:] or ["--help"], standalone_mode=False))
    except UsageError as error:
        _fail(_usage(error), 2)
    except Interrupted as stop:
        _fail(str(stop), 1)
    except MedshotError as error:
        _fail(str(error), 2)
    except Exception as error:
        if os.environ.get("MEDSHOT_DEBUG"):
            raise
        if isinstance(error, OSError) and error.filename is not None:
            _fail(f"{error.filename} could not be used ({error.strerror}); check the path.", 2)
        _fail(
            f"Unexpected {type(error).__name__}: {error}; this is a fault of medshot or of an imported learner, "
            "run again with MEDSHOT_DEBUG=1 and report what it prints.",
            1,
        )


def _fail(sentence: str, code: int) -> None:
    print(f"error: {sentence}", file=sys.stderr)
    sys.exit(code)


def _usage(error: Any) -> str:
    """What is wrong with the command line, in one sentence."""
    said = " ".join(error.format_message().split()).rstrip(".")
    command = error.ctx.command_path if error.ctx else "medshot"
    return f"{said}; see {command} --help."
