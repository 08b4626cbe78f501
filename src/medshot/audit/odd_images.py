"""Findings on readable but odd pictures: empty, saturated, inverted, out of range, unlike the others."""

from collections.abc import Iterator

import numpy as np
from jaxtyping import Float32

from medshot.audit.findings import Finding, Harm
from medshot.audit.sample import AuditedTask

_FLAT = 0.5 / 255  # standard deviation
_FAR = 8.0  # robust standard deviations
_LIKE = 0.6  # the usual correlation with the median picture, for inversion to mean anything
_LARGE = 100_000  # images in one step


def odd_findings(task: AuditedTask) -> Iterator[Finding]:
    """Find single odd images."""
    numbers = task.numbers
    flat = numbers["deviation"] < _FLAT
    yield from _odd(
        task,
        flat,
        "constant",
        "harmful",
        "show nothing: every pixel has the same value",
        "Remove them, or export them again.",
    )
    white = ~flat & (numbers["white"] > 0.5) & _unusual(numbers["white"])
    yield from _odd(
        task,
        white,
        "saturated",
        "doubtful",
        "are more than half pure white, unlike the others",
        "Export them with another window.",
    )
    black = ~flat & (numbers["black"] > 0.98) & _unusual(numbers["black"])
    yield from _odd(
        task,
        black,
        "nearly-black",
        "doubtful",
        "are nearly all black, unlike the others",
        "Check whether they were exported well.",
    )
    narrow = ~flat & (numbers["highest"] - numbers["lowest"] < 0.2)
    narrow &= (numbers["bits"] == 8) & _unusual(numbers["highest"] - numbers["lowest"])
    yield from _odd(
        task,
        narrow,
        "narrow-range",
        "doubtful",
        "use less than a fifth of the grey levels, unlike the others",
        "They may come from another window or bit depth; export them again.",
    )
    inverted = ~flat & _inverted(task)
    yield from _odd(
        task,
        inverted,
        "inverted",
        "doubtful",
        "look like negatives of the others (black and white exchanged)",
        "Invert them; DICOM's MONOCHROME1 is often forgotten.",
    )
    known = flat | white | black | narrow | inverted
    for name, what in (("mean", "brightness"), ("deviation", "contrast")):
        far = _distance(numbers[name])
        yield from _odd(
            task,
            (far > _FAR) & ~known,
            f"unlike-in-{what}",
            "note",
            f"differ from the others in {what} by far",
            "Check whether they belong here.",
            worst=far,
        )


def _odd(
    task: AuditedTask,
    which: np.ndarray,
    name: str,
    harm: Harm,
    what: str,
    advice: str,
    worst: np.ndarray | None = None,
) -> Iterator[Finding]:
    if which.any():
        samples = np.flatnonzero(which)
        if worst is not None:
            samples = samples[np.argsort(-worst[samples], kind="stable")]
        yield Finding(
            name=name,
            task=task.name,
            harm=harm,
            sentence=f"{len(samples):,} of {len(task):,} images {what}.",
            advice=advice,
            numbers={"images": len(samples)},
            examples=task.examples(samples),
        )


def _distance(values: Float32[np.ndarray, " samples"]) -> np.ndarray:
    """Return how far each value is from the median, in standard deviations as estimated by the quartiles."""
    low, median, high = np.percentile(values, (25, 50, 75))
    return np.abs(values - median) / max((high - low) / 1.349, 0.01)


def _unusual(values: Float32[np.ndarray, " samples"]) -> np.ndarray:
    return _distance(values) > _FAR / 2


def _inverted(task: AuditedTask) -> np.ndarray:
    """Select the images that are inverted: their thumbnail is strongly anti-correlated with the median thumbnail."""
    thumbnails = task.fact("thumbnail").reshape(len(task), -1)
    some = np.random.default_rng(0).permutation(len(task))[: min(len(task), 2_000)]
    middle = np.median(thumbnails[some], axis=0).astype(np.float32)
    middle -= middle.mean()
    likeness = np.empty(len(task), np.float32)
    for start in range(0, len(task), _LARGE):
        block = thumbnails[start : start + _LARGE].astype(np.float32)
        block -= block.mean(axis=1, keepdims=True)
        scale = np.linalg.norm(block, axis=1) * np.linalg.norm(middle)
        likeness[start : start + _LARGE] = block @ middle / np.maximum(scale, 1e-6)
    usual = float(np.median(likeness))
    return (likeness < -_LIKE) & (usual > _LIKE)
