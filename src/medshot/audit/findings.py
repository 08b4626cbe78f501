"""The result of a check: a verdict, and findings sorted by harm."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any, Literal

Harm = Literal["harmful", "doubtful", "note"]
HARMS: tuple[Harm, ...] = ("harmful", "doubtful", "note")
SHOWN = 24  # images of a finding that are named


@dataclass(frozen=True)
class Example:
    """One offending image.

    Args:
        task: its task.
        row: its place among the samples of that task, -1 if it is none of them.
        image: its file, or its place in an array.
        caption: what the image shows.
        group: examples of one group belong together, such as copies of one image.
    """

    task: str
    row: int
    image: str
    caption: str = ""
    group: int = 0


@dataclass(frozen=True, kw_only=True)
class Finding:
    """One thing that is wrong with the data, or worth a note.

    Args:
        name: what it is, one of the names in docs/check.md.
        task: its task, or its tasks.
        harm: "harmful": scores on this data would be wrong; "doubtful": look at it; "note": be aware of it.
        sentence: what was found, for people.
        advice: what to do.
        numbers: what was measured.
        examples: some of the images, the worst first.
    """

    name: str
    task: str
    harm: Harm
    sentence: str
    advice: str
    numbers: Mapping[str, float | int | str] = field(default_factory=dict)
    examples: Sequence[Example] = ()


@dataclass(frozen=True)
class Counts:
    """The contents of a task in numbers."""

    task: str
    images: int
    unreadable: int
    patients: int | None
    classes: Mapping[str, int]
    splits: Mapping[str, int]


@dataclass(frozen=True)
class Verdict:
    """All findings on some data.

    Args:
        data: what was checked, as the user named it.
        tasks: what it holds.
        findings: sorted by harm.
        left_out: what was not looked for, and why.
        remarks: how the data was read, as far as no finding is about it.
    """

    data: str
    tasks: Sequence[Counts]
    findings: Sequence[Finding]
    left_out: Sequence[str] = ()
    remarks: Sequence[str] = ()

    @property
    def harmful(self) -> bool:
        """Whether one of the findings is harmful."""
        return any(finding.harm == "harmful" for finding in self.findings)

    @property
    def sentence(self) -> str:
        """The verdict in one sentence."""
        counts = {harm: sum(finding.harm == harm for finding in self.findings) for harm in HARMS}
        images = sum(task.images for task in self.tasks)
        counted = f"{images:,} images in {len(self.tasks)} {'task' if len(self.tasks) == 1 else 'tasks'}: "
        if not counts["harmful"]:
            return f"{counted}nothing harmful, {counts['doubtful']} doubtful, notes: {counts['note']}."
        return (
            f"{counted}{counts['harmful']} harmful, {counts['doubtful']} doubtful, notes: {counts['note']}; "
            "scores on this data would mislead."
        )

    def to_json(self) -> dict[str, Any]:
        """Return the verdict for machines; the order of the findings is kept."""
        return {"verdict": "harmful" if self.harmful else "fine", "sentence": self.sentence, **asdict(self)}


def sorted_by_harm(findings: Sequence[Finding]) -> list[Finding]:
    """Return the harmful ones first; within one harm the order is kept."""
    return sorted(findings, key=lambda finding: HARMS.index(finding.harm))
