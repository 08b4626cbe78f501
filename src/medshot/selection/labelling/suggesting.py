"""From a model and images without labels to a ranking with reasons."""

from collections.abc import Sequence
from dataclasses import dataclass

from medshot.errors import InputError
from medshot.learners import FewShotClassifier
from medshot.selection.labelling.pool import Images, pool_of
from medshot.selection.labelling.reasons import reasons
from medshot.selection.labelling.strategies import DEFAULT, STRATEGIES


@dataclass(frozen=True)
class Suggestion:
    """An image to label.

    Args:
        row: which of the images it is.
        score: how much the strategy is for it; comparable within one strategy and pool only.
        reason: one clause for people.
    """

    row: int
    score: float
    reason: str


def suggest(
    classifier: FewShotClassifier,
    images: Images,
    patients: Sequence[str] | None = None,
    *,
    strategy: str = DEFAULT,
    count: int = 10,
    seed: int = 0,
) -> list[Suggestion]:
    """The images to label next, the first first: at most one of each patient, and all patients where they are fewer.

    Args:
        classifier: the model.
        images: without labels.
        patients: the patient of each image; copies and images with one DICOM PatientID are of one patient where they
            are left out, and every other image is its own.
        strategy: a key of `STRATEGIES`.
        count: how many, 1 or more.
        seed: decides what the strategy draws at random.

    Raises:
        InputError: there is no such strategy, `count` is below 1, an image cannot be read, or the model does not take
            such images.
    """
    if strategy not in STRATEGIES:
        raise InputError(f"strategy is '{strategy}', but must be one of: {', '.join(STRATEGIES)}.")
    if count < 1:
        raise InputError(f"count is {count}, but must be 1 or more.")
    pool, rows = pool_of(classifier, images, patients, seed)
    chosen, scores = STRATEGIES[strategy].choose(pool, min(count, len(pool)), seed)
    said = reasons(strategy, pool, [str(name) for name in classifier.classes_], chosen)
    return [
        Suggestion(int(rows[place]), float(score), reason)
        for place, score, reason in zip(chosen, scores, said, strict=True)
    ]
