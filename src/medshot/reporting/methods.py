"""A methods paragraph for a paper, from the facts that an evaluation records."""

from collections.abc import Sequence

from medshot.evaluation.results import Results
from medshot.evaluation.study import StudiedLearner, StudiedTask, Study

MAX_LISTED = 5  # tasks in the paragraph
HASH = 12  # characters of a hash that are printed


def methods_paragraph(results: Results) -> str | None:
    """Return the paragraph, or None for results of a version that did not record the facts."""
    study, made = results.metadata.study, results.metadata
    if study is None:
        return None
    sentences = [
        f"Few-shot classifiers were evaluated with medshot {made.version} on {_name_tasks(study.tasks)}.",
        *_describe_learners(study.learners),
        _describe_protocol(study),
        "Every learner was given the same episodes; differences in balanced accuracy are paired, from "
        f"{results.baseline}.",
        "Balanced accuracy, AUROC and Brier score are means over episodes; the calibration error, sensitivity, "
        "specificity and the confusion matrix count the queries of all episodes together.",
        *_describe_prevalence(study),
        *_describe_thresholds(study),
        "Intervals are 95 % bootstrap intervals for new patients, from 1000 replicates of patients crossed with "
        "episodes (Owen, 2007), widened for few patients with Student’s t (Hesterberg, 2015); they are not "
        "corrected for multiple comparisons.",
        f"The seed was {made.seed}; evaluated on {made.date} ({made.machine}).",
    ]
    return " ".join(sentences)


def _name_tasks(tasks: Sequence[StudiedTask]) -> str:
    listed = [_name_task(task) for task in tasks[:MAX_LISTED]]
    if len(tasks) > MAX_LISTED:
        images, patients = (sum(getattr(task, name) for task in tasks) for name in ("images", "patients"))
        return f"{len(tasks)} tasks of {patients} patients with {images} images in total"
    return _and(listed)


def _name_task(task: StudiedTask) -> str:
    classes = _and([f"{count} {name}" for name, count in task.classes.items()])
    return f"{task.name} ({_count(task.images, 'image')} of {_count(task.patients, 'patient')}: {classes})"


def _describe_learners(learners: Sequence[StudiedLearner]) -> list[str]:
    inputs: dict[tuple[str, str | None], list[str]] = {}
    for each in learners:
        name = each.name if each.name == each.learner else f"{each.name} ({each.learner})"
        name += ", meta-trained on other tasks," if each.meta_trained else ""
        inputs.setdefault((each.takes, each.encoder_sha256), []).append(name)
    return [f"{_and(names)} took {_describe_input(*taken)}." for taken, names in inputs.items()]


def _describe_input(takes: str, sha256: str | None) -> str:
    return takes if sha256 is None else f"features of {takes}, a frozen encoder (SHA-256 {sha256[:HASH]})"


def _describe_protocol(study: Study) -> str:
    return (
        f"In each of {_count(study.episodes, 'episode')} per task, {_or(study.shots)} labelled patients per class were "
        f"drawn at random to adapt on, with one image per class, and up to {study.queries} other patients per class to "
        "score on; no patient was in both."
    )


def _describe_prevalence(study: Study) -> list[str]:
    if not study.prevalence:
        return []
    stated = _and([f"{100 * share:.3g} % ({name})" for name, share in study.prevalence.items()])
    return [f"Predictive values follow from Bayes’ rule at a prevalence of {stated}."]


def _describe_thresholds(study: Study) -> list[str]:
    if study.sensitivity is None:
        return []
    return [
        "For each class, the threshold of the probability was chosen for a sensitivity of "
        f"{100 * study.sensitivity:g} % on patients of the support that were left out in up to five folds; queries had "
        "no part in it."
    ]


def _count(number: int, noun: str) -> str:
    return f"{number:,} {noun}{'' if number == 1 else 's'}"


def _and(parts: Sequence[str]) -> str:
    *first, last = parts
    return f"{', '.join(first)} and {last}" if first else last


def _or(numbers: Sequence[int]) -> str:
    return _and([str(number) for number in numbers]).replace(" and ", " or ")
