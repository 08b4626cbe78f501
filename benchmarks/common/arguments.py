"""The command line of every benchmark: where data and work are, --quick and --resume."""

import argparse
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]


@dataclass(frozen=True)
class Places:
    """The folders that a benchmark writes to.

    Args:
        results: raw numbers as compressed JSON.
        docs: pages and pictures.
    """

    results: Path = ROOT / "benchmarks" / "results"
    docs: Path = ROOT / "docs"


def make_parser(
    name: str, description: str | None, *, data: bool = True, work: bool = True, report: bool = True
) -> argparse.ArgumentParser:
    """Return a parser with the options that all benchmarks have.

    Args:
        name: of the benchmark; its work goes to runs/NAME.
        description: the docstring of the benchmark.
        data: whether it reads the data sets.
        work: whether it keeps work from which it can resume.
        report: whether it writes a page.
    """
    parser = argparse.ArgumentParser(
        prog=f"python -m benchmarks.{name}",
        description=description,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    if data:
        parser.add_argument(
            "--data", type=Path, default=ROOT.parent / "shared" / "data", help="folder of the data sets"
        )
    parser.add_argument("--out", type=Path, help=f"folder for work in progress (default: runs/{folder_of(name)})")
    parser.add_argument(
        "--quick",
        action="store_true",
        help="run a small part in about a minute; results and pages go to the --out folder",
    )
    if report:
        parser.add_argument("--report", action="store_true", help="only write the page, from results that are there")
    if work:
        parser.add_argument("--resume", action="store_true", help="continue with what the --out folder holds")
    parser.set_defaults(name=name, work=work, resume=not work, report=False)
    return parser


def parse(parser: argparse.ArgumentParser) -> argparse.Namespace:
    """Return the arguments with `places`; the folder `out` is empty unless --resume is given."""
    arguments = parser.parse_args()
    name = folder_of(arguments.name) + ("-quick" if arguments.quick else "")
    arguments.out = out = arguments.out or Path("runs") / name
    arguments.places = Places(out / "results", out / "docs") if arguments.quick else Places()
    if arguments.report:
        return arguments
    if not arguments.resume and out.exists() and any(out.iterdir()):
        parser.error(f"{out} holds earlier work; give --resume to continue it, or another --out.")
    if arguments.work:
        out.mkdir(parents=True, exist_ok=True)
    return arguments


def folder_of(name: str) -> str:
    """Return the folder below runs/ of a benchmark's work."""
    return name.replace(".", "-")
