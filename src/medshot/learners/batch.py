"""Predictions for many images: one row per input, also for an image that cannot be read."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float

from medshot.encoders import reader_of
from medshot.errors import InputError
from medshot.imaging import FileImages, ImageSource, hashes_of_each
from medshot.imaging.inspection import Inspection, inspect_all
from medshot.learners.batch_inputs import BatchInputs, By, Sample, list_inputs
from medshot.learners.estimator import BATCH, FewShotClassifier
from medshot.tasks import sample_images

Row = dict[str, str | int | float | None]

IN_SUPPORT = "the image is one of those that the model was fitted on"
_LEAST = 1e-12  # probability, so that its logarithm is finite


@dataclass(frozen=True)
class Predictions:
    """The rows of a batch.

    Args:
        rows: `image`, `predicted`, `p_<class>` for each class, `warning`, `assumed` (what reading it had to assume) and
            `error` (why it could not be read; there is no prediction then). If rows are put together, also `patient` or
            `study`, and `images`, the number of images that the prediction is made of.
        inputs: what they were made of, with the files that were left out.
    """

    rows: list[Row]
    inputs: BatchInputs


def predict_files(
    model: "FewShotClassifier | Path | str",
    paths: Sequence[Path | str],
    *,
    prevalence: Mapping[Any, float] | None = None,
    by: By | None = None,
    strict: bool = False,
) -> Predictions:
    """Classify image files as `medshot predict` does: one row per input, also for one that cannot be read.

    Args:
        model: a fitted classifier, or a model folder.
        paths: files and folders of images, or one manifest, whose samples may have several images each.
        prevalence: the prevalence of each class; see `FewShotClassifier.predict_proba`.
        by: put the rows of a patient or a study together, by the mean of their log-probabilities.
        strict: raise InputError at the first image that cannot be read.

    Raises:
        InputError: there is no image at the paths, `prevalence` is wrong, or with `strict` an image cannot be read.
        StorageError: the model folder cannot be read, or the cache folder cannot be written to.
    """
    classifier = model if isinstance(model, FewShotClassifier) else FewShotClassifier.load(model)
    inputs = list_inputs(paths, by)
    rows = list(chain.from_iterable(predict_samples(classifier, inputs.samples, prevalence, strict=strict)))
    return Predictions(rows if by is None else put_together(rows, inputs.samples, by), inputs)


def predict_samples(
    classifier: FewShotClassifier,
    samples: Sequence[Sample],
    prevalence: Mapping[Any, float] | None = None,
    *,
    strict: bool = False,
) -> Iterator[list[Row]]:
    """Yield the rows of some samples after another, in their order; a transductive learner takes all of them together.

    Raises:
        InputError: `prevalence` is wrong, or with `strict` an image cannot be read.
        StorageError: the cache folder cannot be written to.
    """
    classifier.check_prevalence(prevalence)
    size = BATCH if classifier.learner_.inductive else max(1, len(samples))
    for start in range(0, len(samples), size):
        some = samples[start : start + size]
        inspections = _inspected(some)
        problem = next((each.problem for each in inspections if each.problem), "")
        if strict and problem:
            raise InputError(problem)
        yield _rows(classifier, some, inspections, prevalence, strict=strict)


def put_together(rows: Sequence[Row], samples: Sequence[Sample], by: By) -> list[Row]:
    """Return one row for each patient or study, in the order of their first images.

    The probabilities are proportional to the exponential of the mean of the log-probabilities, which is the geometric
    mean. An image of an unknown patient has a row of its own, and images that cannot be read do not count.
    """
    groups: dict[tuple[str, int], list[Row]] = {}
    for number, (row, sample) in enumerate(zip(rows, samples, strict=True)):
        groups.setdefault((sample.group, -1 if sample.group else number), []).append(row)
    return [_one_row(of_one, group, by) for (group, _), of_one in groups.items()]


def _one_row(rows: Sequence[Row], group: str, by: By) -> Row:
    there = [row for row in rows if not row["error"]]
    together = dict(rows[0])
    if there:
        names = [name for name in rows[0] if name.startswith("p_")]
        shares = np.array([[float(row[name] or 0) for name in names] for row in there])
        mean = np.exp(np.log(np.maximum(shares, _LEAST)).mean(0))
        together |= dict(zip(names, (mean / mean.sum()).tolist(), strict=True))
        together["predicted"] = names[int(mean.argmax())].removeprefix("p_")
    for column in ("warning", "assumed"):
        together[column] = "; ".join(dict.fromkeys(str(row[column]) for row in rows if row[column]))
    errors = [str(row["error"]) for row in rows if row["error"]]
    together["error"] = f"{len(errors)} of {len(rows)} images could not be used: {errors[0]}" if errors else ""
    return together | {by: group, "images": len(there)}


def _inspected(samples: Sequence[Sample]) -> list[Inspection]:
    """Read the images of each sample and join what is found for them."""
    paths = [file for sample in samples if not sample.problem for _, file in sample.files]
    found = inspect_all(paths)
    inspections = []
    for sample in samples:
        if sample.problem:
            inspections.append(Inspection(problem=sample.problem))
            continue
        of_files = [next(found) for _ in sample.files]
        problem = next((each.problem for each in of_files if each.problem), "")
        assumed = dict.fromkeys(sentence for each in of_files for sentence in each.assumed)
        inspections.append(Inspection(problem, tuple(assumed)))
    return inspections


def _rows(
    classifier: FewShotClassifier,
    samples: Sequence[Sample],
    inspections: Sequence[Inspection],
    prevalence: Mapping[Any, float] | None,
    *,
    strict: bool,
) -> list[Row]:
    problems = {row: each.problem for row, each in enumerate(inspections) if each.problem}
    used = [row for row in range(len(samples)) if row not in problems]
    try:
        predicted = _predicted(classifier, samples, used, prevalence)
    except InputError:
        if strict:
            raise
        problems |= _unusable(classifier, samples, used)
        used = [row for row in used if row not in problems]
        predicted = _predicted(classifier, samples, used, prevalence)
    return [
        _row(classifier, sample, predicted.get(row), inspections[row].assumed, problems.get(row, ""))
        for row, sample in enumerate(samples)
    ]


def _predicted(
    classifier: FewShotClassifier,
    samples: Sequence[Sample],
    rows: Sequence[int],
    prevalence: Mapping[Any, float] | None,
) -> dict[int, tuple[Float[np.ndarray, " classes"], str]]:
    """Return the probabilities and the warning of some of the samples."""
    if not rows:
        return {}
    source = _source([samples[row] for row in rows])
    shares, warnings = classifier.predict_proba(source, prevalence), _warnings(classifier, source)
    return {row: (of_one, warning) for row, of_one, warning in zip(rows, shares, warnings, strict=True)}


def _unusable(classifier: FewShotClassifier, samples: Sequence[Sample], rows: Sequence[int]) -> dict[int, str]:
    """Return why the learner does not take some samples that can be read, such as volumes if it takes pictures."""
    reader = reader_of(classifier.learner_.input_spec)
    try:
        if rows:
            reader.prepare(_source([samples[row] for row in rows]))
        return {}
    except InputError as error:
        if len(rows) == 1:
            return {rows[0]: str(error)}
    half = len(rows) // 2
    return _unusable(classifier, samples, rows[:half]) | _unusable(classifier, samples, rows[half:])


def _source(samples: Sequence[Sample]) -> ImageSource:
    names = list(dict.fromkeys(name for sample in samples for name, _ in sample.files))
    if names == [""]:
        return FileImages([sample.files[0][1] for sample in samples])
    return sample_images({name: [dict(sample.files).get(name) for sample in samples] for name in names})


def _warnings(classifier: FewShotClassifier, source: ImageSource) -> list[str]:
    """Return the warnings of the classifier, and one for an image that it was fitted on."""
    support = set(classifier.support_)
    of_support = [IN_SUPPORT if support.intersection(hashes) else "" for hashes in hashes_of_each(source)]
    return ["; ".join(filter(None, pair)) for pair in zip(classifier.warnings(source), of_support, strict=True)]


def _row(
    classifier: FewShotClassifier,
    sample: Sample,
    predicted: tuple[Float[np.ndarray, " classes"], str] | None,
    assumed: Sequence[str],
    problem: str,
) -> Row:
    row: Row = {"image": sample.image, "predicted": ""}
    warning = ""
    if predicted is None:
        row |= {f"p_{name}": None for name in classifier.classes_}
    else:
        shares, warning = predicted
        row["predicted"] = str(classifier.classes_[shares.argmax()])
        row |= {f"p_{name}": float(share) for name, share in zip(classifier.classes_, shares, strict=True)}
    return row | {"warning": warning, "assumed": " ".join(assumed), "error": problem}
