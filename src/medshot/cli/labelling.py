"""What `medshot next` does: a model and images without labels in, those to label next out."""

from pathlib import Path

from medshot.cli.options import note
from medshot.cli.predicting import Row, samples
from medshot.learners import FewShotClassifier
from medshot.selection.active_learning import suggest
from medshot.storage import shown
from medshot.tasks import MANIFEST_SUFFIXES, read_patients


def next_files(model: Path, unlabelled: Path, *, strategy: str, count: int, seed: int) -> list[Row]:
    """One row per image to label, the first first: `rank`, `image`, `score`, `reason`.

    Args:
        model: a model folder.
        unlabelled: a folder of images, or a manifest with `image` and perhaps `patient`.
        strategy: a key of `STRATEGIES`.
        count: how many; fewer, and a note, where there are fewer patients.
        seed: decides what is drawn at random.
    """
    classifier = FewShotClassifier.load(model)
    files, images = samples([unlabelled])
    patients = read_patients(unlabelled) if unlabelled.suffix.lower() in MANIFEST_SUFFIXES else None
    suggestions = suggest(classifier, images, patients, strategy=strategy, count=count, seed=seed)
    if len(suggestions) < count:
        note(f"{unlabelled} holds images of {len(suggestions)} patients, fewer than {count}; one of each is listed.")
    return [
        {
            "rank": rank,
            "image": shown(files[suggestion.row]),
            "score": round(suggestion.score, 6),
            "reason": suggestion.reason,
        }
        for rank, suggestion in enumerate(suggestions, start=1)
    ]
