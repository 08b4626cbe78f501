"""The page on speed and memory, from the results of all parts that were measured."""

import argparse
from pathlib import Path

from benchmarks.common.arguments import Places
from benchmarks.common.pages import write_page
from benchmarks.common.results import exists, load, machine, save
from benchmarks.common.tables import Table, markdown

PARTS = (
    "peers",
    "inner_loop_memory",
    "engines",
    "adaptation_step",
    "adapt_cost",
    "embedding",
    "reading",
    "scans",
    "resampling",
    "check",
    "check_million",
    "startup",
    "load",
)


def finish(arguments: argparse.Namespace, part: str, table: Table, *notes: str) -> None:
    """Print and save the table of a part, and write the page."""
    print(markdown(table), flush=True)
    save(arguments.places, f"speed-{part}", {"machine": machine(), "table": table, "notes": notes})
    write_report(arguments.places)


def write_report(places: Places) -> None:
    """Write the page."""
    sections = {part: section(places, part) for part in PARTS}
    path, template = places.docs / "results" / "speed.md", Path(__file__).with_name("speed.md")
    write_page(path, template, answer=answer(places), **sections)


def section(places: Places, part: str) -> str:
    """Return the command, the table and the notes of a part."""
    command = f"python -m benchmarks.speed {part}"
    if not exists(places, f"speed-{part}"):
        return f"No numbers are kept here: run `{command}`."
    found = load(places, f"speed-{part}")
    return "\n\n".join([f"By `{command}`; {found['machine']}", markdown(found["table"]), *found["notes"]])


def answer(places: Places) -> str:
    """Return the range of ratios to the best other library."""
    if not exists(places, "speed-peers"):
        return "see the tables."
    rows = load(places, "speed-peers")["table"]["rows"]
    ratios = {row[0]: float(row[-1].split("**")[1]) for row in rows}
    slowest, fastest = min(ratios, key=lambda job: ratios[job]), max(ratios, key=lambda job: ratios[job])
    return (
        f"medshot is {ratios[slowest]:.2f} ({slowest}) to {ratios[fastest]:.2f} times ({fastest}) as fast as the "
        "fastest other library."
    )
