"""Findings on repeated images: within a task, across classes, splits and tasks."""

from collections.abc import Iterator
from itertools import combinations
from typing import Any

import numpy as np

from medshot.audit.findings import Finding
from medshot.audit.groups import Groups, Numbers, group_examples, repeated, split_of, spread_over

_MANY = 0.01  # the share of a task's images above which near duplicates do harm
_EVERYWHERE = 0.1  # the same for exact copies without any split or patients


def duplicate_findings(groups: Groups) -> Iterator[Finding]:
    """Find copies, near copies and crops."""
    for number in range(len(groups.tasks)):
        here = groups.task == number
        yield from _copies(groups, here)
        yield from _conflicts(groups, here)
        yield from _across_splits(groups, here)
        yield from _near(groups, here)
    yield from _shared_by_tasks(groups)


def _copies(groups: Groups, here: np.ndarray) -> Iterator[Finding]:
    """Find the same pixels several times in one task."""
    several = repeated(groups.exact, here)
    if not several.any():
        return
    surplus = int(several.sum() - np.unique(groups.exact[several]).size)
    identical = repeated(groups.file, here)
    bytes_too = int(identical.sum() - np.unique(groups.file[identical]).size)
    people = spread_over(groups.exact, groups.patient, several)
    share = surplus / here.sum()
    yield _finding(
        groups,
        people if people.any() else several,
        groups.exact,
        name="exact-copies",
        harm="harmful" if people.sum() > _MANY * here.sum() or share > _EVERYWHERE else "doubtful",
        sentence=f"{surplus:,} of {here.sum():,} images are copies of another one, pixel for pixel "
        f"({bytes_too:,} of them byte for byte)"
        + (
            f"; {np.unique(groups.exact[people]).size:,} of these pictures count as several patients."
            if people.any()
            else "."
        ),
        advice="Keep one of each, or name one patient for all of them; otherwise test images were in training.",
        numbers={"copies": surplus, "byte_identical": bytes_too, "images": int(here.sum()), "share": round(share, 4)},
    )


def _conflicts(groups: Groups, here: np.ndarray) -> Iterator[Finding]:
    """Find the same or nearly the same picture under two labels."""
    exact = spread_over(groups.exact, groups.label, here)
    if exact.any():
        count = np.unique(groups.exact[exact]).size
        yield _finding(
            groups,
            exact,
            groups.exact,
            name="copies-in-several-classes",
            harm="harmful",
            sentence=f"{count:,} pictures have two or more labels, pixel for pixel the same.",
            advice="One of the labels is wrong, or the classes are not mutually exclusive. Correct or remove these "
            "images.",
            numbers={"pictures": count, "images": int(exact.sum())},
        )
    near = spread_over(groups.near, groups.label, here) & ~exact
    if near.any():
        count = np.unique(groups.near[near]).size
        yield _finding(
            groups,
            near,
            groups.near,
            name="near-copies-in-several-classes",
            harm="doubtful",
            sentence=f"{count:,} groups of nearly identical pictures hold more than one label.",
            advice="Look at them: the same picture saved twice, or slices of one scan with different labels.",
            numbers={"groups": count, "images": int(near.sum())},
        )


def _across_splits(groups: Groups, here: np.ndarray) -> Iterator[Finding]:
    """Find the same picture in two splits: exact, near, after a crop, each without those of a stricter test."""
    here = here & (groups.split >= 0)
    found = np.zeros(len(here), bool)
    for name, of, what in (
        ("copies-across-splits", groups.exact, "are in two splits, pixel for pixel"),
        ("near-copies-across-splits", groups.near, "are nearly the same as one of another split"),
        (
            "look-alikes-across-splits",
            groups.alike,
            "are a crop of, or as like as a neighbouring slice to, one of another split",
        ),
    ):
        across = spread_over(of, groups.split, here) & ~found
        if across.any():
            found |= across
            yield _finding(
                groups,
                spread_over(of, groups.split, here),
                of,
                name=name,
                harm="harmful" if name != "look-alikes-across-splits" or across.mean() > _MANY else "doubtful",
                sentence=f"{across.sum():,} images {what}: {_pairs_of_splits(groups, across, of)}.",
                advice="Split again with all of a group on one side (the column patient does that); scores on the "
                "given split are too good.",
                numbers={"images": int(across.sum()), "groups": int(np.unique(of[across]).size)},
            )


def _near(groups: Groups, here: np.ndarray) -> Iterator[Finding]:
    """Find nearly the same picture under several patients."""
    near = spread_over(groups.near, groups.patient, here) & spread_over(groups.near, groups.exact, here)
    if near.any():
        share = near.sum() / here.sum()
        recall = "" if groups.recall == 1 else _recall_sentence(groups.recall)
        yield _finding(
            groups,
            near,
            groups.near,
            name="near-copies",
            harm="harmful" if share > _MANY else "doubtful",
            sentence=f"{near.sum():,} of {here.sum():,} images have a nearly identical one under another patient "
            f"({np.unique(groups.near[near]).size:,} groups){recall}.",
            advice="Name one patient for each group, so that no split takes it apart.",
            numbers={"images": int(near.sum()), "share": round(float(share), 4)}
            | ({"recall": round(groups.recall, 3)} if groups.recall is not None else {}),
        )
    alike = spread_over(groups.alike, groups.patient, here) & ~spread_over(groups.near, groups.patient, here)
    if alike.any():
        yield _finding(
            groups,
            alike,
            groups.alike,
            name="look-alikes",
            harm="doubtful",
            sentence=f"{alike.sum():,} of {here.sum():,} images look like a crop of one of another patient, or like a "
            "neighbouring slice.",
            advice="Look at the pairs; if they are of one person, name one patient for both.",
            numbers={"images": int(alike.sum())},
        )


def _shared_by_tasks(groups: Groups) -> Iterator[Finding]:
    """Find the same pictures in two tasks, for each pair of tasks."""
    everywhere = np.ones(len(groups.task), bool)
    shared = spread_over(groups.alike, groups.task, everywhere)
    for first in range(len(groups.tasks)):
        for second in range(first + 1, len(groups.tasks)):
            pair = shared & np.isin(groups.task, (first, second))
            pair = spread_over(groups.alike, groups.task, pair)
            if not pair.any():
                continue
            counts = [int(np.sum(pair & (groups.task == number))) for number in (first, second)]
            names = [groups.tasks[number].name for number in (first, second)]
            exact = int(np.unique(groups.exact[spread_over(groups.exact, groups.task, pair)]).size)
            near = int(np.unique(groups.near[spread_over(groups.near, groups.task, pair)]).size)
            pictures = int(np.unique(groups.alike[pair]).size)
            yield _finding(
                groups,
                pair,
                groups.alike,
                name="shared-by-tasks",
                task=" and ".join(names),
                harm="harmful"
                if near or min(counts) > _MANY * min(len(groups.tasks[k]) for k in (first, second))
                else "doubtful",
                sentence=f"{names[0]} and {names[1]} share {pictures:,} pictures ({exact:,} pixel for pixel, "
                f"{near - exact:,} nearly, {pictures - near:,} after a crop): {counts[0]:,} images here and "
                f"{counts[1]:,} there.",
                advice="Never test on one what was trained on the other; keep both on one side.",
                numbers={"pictures": pictures, "exact": exact, "near": near, "here": counts[0], "there": counts[1]},
            )


def _finding(groups: Groups, members: np.ndarray, of: Numbers, *, task: str | None = None, **fields: Any) -> Finding:
    number = int(groups.task[np.flatnonzero(members)[0]])
    return Finding(task=task or groups.tasks[number].name, examples=group_examples(groups, members, of), **fields)


def _pairs_of_splits(groups: Groups, members: np.ndarray, of: Numbers) -> str:
    """Count the groups that each two splits share."""
    names = groups.tasks[int(groups.task[np.flatnonzero(members)[0]])].splits.names  # type: ignore[union-attr]
    codes = np.unique(groups.split[members])
    offset = codes[0] - names.index(split_of(groups, int(np.flatnonzero(groups.split == codes[0])[0])))
    described = []
    for first, second in combinations(codes, 2):
        shared = np.intersect1d(of[members & (groups.split == first)], of[members & (groups.split == second)]).size
        if shared:
            described.append(f"{names[first - offset]} and {names[second - offset]} {shared:,}")
    return ", ".join(described)


def _recall_sentence(recall: float | None) -> str:
    if recall is None:
        return "; with so many images nearly all pairs are found, not all"
    return f"; with so many images {100 * recall:.0f} % of such pairs are found"
