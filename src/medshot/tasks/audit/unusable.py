"""Findings on what could not be used at all: rows of the manifest and image files."""

from collections.abc import Iterator, Sequence

from medshot.tasks.audit.listing import Listing, Problem
from medshot.tasks.audit.verdict import Example, Finding

_SAID = 3


def unusable_findings(listing: Listing, unreadable: Sequence[Problem]) -> Iterator[Finding]:
    """Every image that could not be read, every row that could not be used, and how many rows have no label."""
    if unreadable:
        yield _listed(
            listing, "unreadable", f"{len(unreadable):,} of {len(listing):,} images could not be read", unreadable,
            "Replace the files, correct the paths, or remove the rows; nothing else in medshot reads this data before.",
        )  # fmt: skip
    if listing.problems:
        yield _listed(
            listing, "unusable-rows", f"{len(listing.problems):,} rows cannot be used", listing.problems,
            "Correct or remove these rows; nothing else in medshot reads this manifest before.",
        )  # fmt: skip
    if listing.dropped:
        yield Finding(
            name="rows-without-label",
            task=listing.name,
            harm="note",
            sentence=f"{listing.dropped:,} rows have no label and are left out.",
            advice="Nothing, if they are meant to have none.",
            numbers={"rows": listing.dropped},
        )


def _listed(listing: Listing, name: str, sentence: str, problems: Sequence[Problem], advice: str) -> Finding:
    some = "; ".join(f"{problem.where} {problem.why.rstrip('.')}" for problem in problems[:_SAID])
    more = f"; and {len(problems) - _SAID:,} more" if len(problems) > _SAID else ""
    return Finding(
        name=name,
        task=listing.name,
        harm="harmful",
        sentence=f"{sentence}: {some}{more}.",
        advice=advice,
        numbers={"count": len(problems), "of": len(listing)},
        examples=[Example(listing.name, -1, problem.where, problem.why) for problem in problems],
    )
