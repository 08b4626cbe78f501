"""Findings on odd pictures (empty, saturated, inverted, unlike the others), and on mixtures of sizes and kinds."""

from collections.abc import Iterator, Sequence

import numpy as np
from jaxtyping import Float32

from medshot.audit.facts import MODALITIES, TYPES
from medshot.audit.findings import Finding, Harm
from medshot.audit.sample import AuditedTask

_FLAT = 0.5 / 255  # standard deviation
_FAR = 8.0  # robust standard deviations
_LIKE = 0.6  # the usual correlation with the median picture, for inversion to mean anything
_LARGE = 100_000  # images in one step
COLOUR = 0.02  # mean distance of the channels above which a picture is in colour
_MARKED = 0.0005  # share of clearly coloured pixels
_LETTERS = 5


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
    found = flat | white | black | narrow | inverted
    for name, what in (("mean", "brightness"), ("deviation", "contrast")):
        far = _distance(numbers[name])
        yield from _odd(
            task,
            (far > _FAR) & ~found,
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


def mixture_findings(task: AuditedTask) -> Iterator[Finding]:
    """Find mixtures of sizes, colours and file types, and marks and text in the pixels."""
    numbers = task.numbers
    yield from _sizes(task)
    colour = numbers["colourfulness"] > COLOUR
    coloured_grey = (numbers["channels"] == 3) & (numbers["colourfulness"] < 0.002)
    if 0 < colour.sum() < len(task):
        yield _mixed(
            task, "mixed-colour", "doubtful" if 0.01 < colour.mean() < 0.99 else "note",
            f"{colour.sum():,} of {len(task):,} images are in colour, the others grey: {_by_class(task, colour)}.",
            "Look at them; read all as grey (--channels 1) if colour means nothing.",
            np.flatnonzero(colour if colour.mean() < 0.5 else ~colour),
        )  # fmt: skip
    if coloured_grey.any():
        yield _mixed(
            task, "grey-stored-as-colour", "note",
            f"{coloured_grey.sum():,} images are grey, stored with three channels.",
            "Nothing; --channels 1 takes a third of the memory.", [],
        )  # fmt: skip
    yield from _kinds(
        task, "mixed-bit-depths", [f"{int(bits)} bits" for bits in range(65)], numbers["bits"], "doubtful"
    )
    yield from _kinds(task, "mixed-file-types", [name or "other" for name in TYPES], numbers["type"], "note")
    yield from _kinds(
        task, "mixed-modalities", [name or "not named" for name in MODALITIES], numbers["modality"], "doubtful"
    )
    yield from _spacings(task)
    yield from _marks(task)


def _sizes(task: AuditedTask) -> Iterator[Finding]:
    width, height = task.numbers["width"], task.numbers["height"]
    sizes, counts = np.unique(np.stack([width, height]), axis=1, return_counts=True)
    if len(counts) < 2:
        return
    aspect = width / height
    spread = float(np.percentile(aspect, 97.5) / np.percentile(aspect, 2.5))
    common = sizes[:, counts.argmax()]
    other = (width != common[0]) | (height != common[1])
    tiny = float(width.max() / width.min()) >= 4
    yield _mixed(
        task, "mixed-sizes", "doubtful" if tiny and other.mean() > 0.01 else "note",
        f"There are {len(counts):,} sizes, from {int(width.min())}×{int(height.min())} to "
        f"{int(width.max())}×{int(height.max())}; aspect ratios differ by a factor of {spread:.2f}.",
        "Images are fitted with black bars, whose width then differs; crop them alike if the classes differ in shape.",
        np.flatnonzero(other) if other.mean() < 0.1 else [],
        sizes=len(counts), aspect_factor=round(spread, 3),
    )  # fmt: skip


def _kinds(task: AuditedTask, name: str, names: list[str], codes: np.ndarray, harm: Harm) -> Iterator[Finding]:
    kinds, counts = np.unique(codes.astype(int), return_counts=True)
    if len(kinds) > 1:
        counted = ", ".join(f"{names[kind]} {count:,}" for kind, count in zip(kinds, counts, strict=True))
        yield _mixed(
            task, name, harm, f"There are {counted}.", "See to it that all were made in the same way.",
            np.flatnonzero(codes == kinds[counts.argmin()]),
            **{names[kind]: int(count) for kind, count in zip(kinds, counts, strict=True)},
        )  # fmt: skip


def _spacings(task: AuditedTask) -> Iterator[Finding]:
    spacing = task.numbers["spacing_rows"]
    known = spacing > 0
    if known.any() and (not known.all() or spacing[known].max() > 1.25 * spacing[known].min()):
        missing = f"; {np.sum(~known):,} images have none" if not known.all() else ""
        yield _mixed(
            task, "mixed-spacings", "doubtful",
            f"Pixels measure from {spacing[known].min():.3g} to {spacing[known].max():.3g} mm{missing}.",
            "Resample to one spacing if size matters.", np.flatnonzero(~known),
        )  # fmt: skip


def _marks(task: AuditedTask) -> Iterator[Finding]:
    marked = task.numbers["coloured"] > _MARKED
    if marked.any() and np.mean(task.numbers["colourfulness"] > COLOUR) < 0.9:
        yield _mixed(
            task, "coloured-marks", "doubtful",
            f"{marked.sum():,} of {len(task):,} images are grey with clearly coloured pixels in them (lines, arrows, "
            f"stamps): {_by_class(task, marked)}.",
            "Take films without marks, or read all as grey; if one class alone is marked, a model reads the marks.",
            np.flatnonzero(marked)[np.argsort(-task.numbers["coloured"][marked])],
            images=int(marked.sum()),
        )  # fmt: skip
    written = (task.numbers["characters"] >= _LETTERS) | (task.numbers["burnt_in"] > 0)
    if written.any():
        yield _mixed(
            task, "burnt-in-text", "doubtful" if written.mean() > 0.001 else "note",
            f"{written.sum():,} of {len(task):,} images seem to have text in their margins: "
            f"{_by_class(task, written)}.",
            "Look whether it names patients, places or dates, and mask it.",
            np.flatnonzero(written)[np.argsort(-task.numbers["characters"][written])],
            images=int(written.sum()),
        )  # fmt: skip


def _by_class(task: AuditedTask, which: np.ndarray) -> str:
    """Describe the share of these images in each class."""
    totals = np.bincount(task.labels.codes, minlength=len(task.labels.names))
    counts = np.bincount(task.labels.codes[which], minlength=len(totals))
    shares = [
        f"'{name}' {100 * n / of:.0f} %" for name, n, of in zip(task.labels.names, counts, totals, strict=True) if of
    ]
    return ", ".join(shares[:8])


def _mixed(
    task: AuditedTask,
    name: str,
    harm: Harm,
    sentence: str,
    advice: str,
    samples: Sequence[int] | np.ndarray,
    **numbers: float | int,
) -> Finding:
    return Finding(
        name=name,
        task=task.name,
        harm=harm,
        sentence=sentence,
        advice=advice,
        numbers=numbers,
        examples=task.examples(samples),
    )
