"""The `medshot` command: its sub-commands, files to import, and errors as one sentence and an exit code."""

import json
import os
import sys
from collections.abc import Callable
from importlib.machinery import ModuleSpec, SourceFileLoader
from importlib.util import module_from_spec
from io import TextIOWrapper
from pathlib import Path
from typing import Annotated, Any

import typer

from medshot.cli.adapt import adapt
from medshot.cli.check import check
from medshot.cli.command import EXIT_CODES, as_command
from medshot.cli.evaluate import evaluate
from medshot.cli.forecast import forecast
from medshot.cli.info import info
from medshot.cli.learners import learners
from medshot.cli.meta_train import meta_train
from medshot.cli.next import next_images
from medshot.cli.options import SCHEMA
from medshot.cli.predict import predict
from medshot.cli.quickstart import quickstart
from medshot.cli.train_encoder import train_encoder
from medshot.environment import keep_caches_together
from medshot.errors import InputError, Interrupted, MedshotError

# The base of all errors in a command line; Typer exports only one of its subclasses.
UsageError: Any = typer.BadParameter.__mro__[1]

STOPPED = 130
"""The exit code after Ctrl-C, as shells have it."""

COMMANDS: dict[str, Callable[..., None]] = {
    "quickstart": quickstart,
    "check": check,
    "meta-train": meta_train,
    "train-encoder": train_encoder,
    "adapt": adapt,
    "predict": predict,
    "next": next_images,
    "evaluate": evaluate,
    "forecast": forecast,
    "learners": learners,
    "info": info,
}
"""Commands in the order of `medshot --help`."""

app = typer.Typer(
    name="medshot",
    help="Learn once from many medical imaging tasks, then adapt to a new one from a handful of labelled images.\n\n"
    "For research, not a medical device. Start with: medshot quickstart",
    epilog=EXIT_CODES,
    pretty_exceptions_enable=False,
)
for name, command in COMMANDS.items():
    app.command(name, epilog=EXIT_CODES)(as_command(name, command))


def _print_version(asked: bool | None) -> None:
    if asked:
        from medshot import __version__

        print(f"medshot {__version__}")
        raise typer.Exit


@app.callback()
def import_learners(
    imports: Annotated[
        list[Path] | None,
        typer.Option(
            "--import", envvar="MEDSHOT_IMPORT", help="Python file that registers a learner; may be repeated."
        ),
    ] = None,
    version: Annotated[
        bool | None,
        typer.Option("--version", help="Print the version and exit.", is_eager=True, callback=_print_version),
    ] = None,
) -> None:
    """Import the user's own learners before any command runs."""
    for path in imports or []:
        import_file(path)


def import_file(path: Path) -> None:
    """Run a Python file as a module, so that the learners in it register themselves.

    Raises:
        InputError: the file cannot be read or fails.
    """
    name = str(path.resolve().with_suffix(""))  # the name of no other module
    loader = SourceFileLoader(name, str(path))
    spec = ModuleSpec(name, loader, origin=str(path))
    spec.has_location = True
    module = sys.modules[name] = module_from_spec(spec)
    try:
        loader.exec_module(module)
    except (Exception, SystemExit) as error:
        from medshot.learners.registry import in_one_line

        del sys.modules[name]
        raise InputError(
            f"{path} could not be imported ({in_one_line(error)}); 'python {path}' shows where."
        ) from error


def main() -> None:
    """Run the command line.

    Exits with 0 on success, 1 on failure, 2 if the input or the command line is wrong, and 130 after Ctrl-C.
    """
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")
    keep_caches_together()
    try:
        code = app(sys.argv[1:] or ["--help"], prog_name="medshot", standalone_mode=False)
        if code == STOPPED:  # while Typer itself or an imported file ran
            raise KeyboardInterrupt
        sys.exit(code)
    except UsageError as error:
        _fail("UsageError", _usage(error), 2)
    except (Interrupted, KeyboardInterrupt) as stop:
        _fail("Interrupted", str(stop) or "Stopped by Ctrl-C; nothing was written.", STOPPED)
    except MedshotError as error:
        _fail(type(error).__name__, str(error), 2)
    except Exception as error:
        if os.environ.get("MEDSHOT_DEBUG"):
            raise
        if isinstance(error, OSError) and error.filename is not None:
            _fail("OSError", f"{error.filename} could not be used ({error.strerror}); check the path.", 2)
        _fail(
            type(error).__name__,
            f"Unexpected {type(error).__name__}: {error}. This is a fault of medshot or of an imported learner; "
            "run the command again with MEDSHOT_DEBUG=1 and report the output.",
            1,
        )


def _fail(kind: str, sentence: str, code: int) -> None:
    """Print the sentence on stderr, with --json also as JSON on stdout, and exit with the code."""
    if "--json" in sys.argv[1:]:
        print(json.dumps({"schema": SCHEMA, "error": {"kind": kind, "message": sentence, "exit_code": code}}, indent=2))
    print(f"error: {sentence}", file=sys.stderr)
    sys.exit(code)


def _usage(error: Any) -> str:
    """Return the mistake in the command line, in one sentence."""
    message = " ".join(error.format_message().split()).rstrip(".")
    command = error.ctx.command_path if error.ctx else "medshot"
    return f"{message}{' See' if message.endswith('?') else '; see'} {command} --help."
