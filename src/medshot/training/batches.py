"""The split of tasks into train, new and validation, and the batches of episodes that are drawn from each."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from medshot.errors import InputError, TooFewPatients
from medshot.imaging import Augmentation, InputSpec, augment
from medshot.tasks import Episode, Episodes, Task, collate, draw_episode, draw_folds, random_variant, split_patients

ATTEMPTS = 50
LEAST_TASKS = 8


@dataclass(frozen=True)
class BatchSettings:
    """The settings of a batch of episodes.

    Args:
        tasks: how many tasks are drawn for a batch.
        ways: the most classes; each batch draws its way from 2 to this.
        shots: labelled patients per class; each batch draws one of these.
        queries: query patients per class.
        augment: whether images are augmented.
    """

    tasks: int = 4
    ways: int = 4
    shots: tuple[int, ...] = (1, 3, 5, 10)
    queries: int = 10
    augment: bool = True

    def __post_init__(self) -> None:
        least = {"tasks": 1, "ways": 2, "queries": 1}
        for name, bound in least.items():
            if getattr(self, name) < bound:
                raise InputError(f"{name} is {getattr(self, name)}, but must be {bound} or more.")
        if not self.shots or min(self.shots) < 1:
            raise InputError(f"shots is {self.shots}, but must be one or more numbers of 1 or more.")

    @property
    def most_samples(self) -> int:
        """Return the most samples of a batch, if each patient has one."""
        return self.tasks * self.ways * (max(self.shots) + self.queries)


def draw_batch(
    tasks: Sequence[Task],
    settings: BatchSettings,
    rng: np.random.Generator,
    *,
    cross_validated: bool,
) -> list[Episode]:
    """Draw episodes of one way and one shot; with `cross_validated` every fold of a task's L_cv is an episode.

    Tasks with too few patients for a draw are skipped; in those with more classes than the drawn way, classes are left
    out or merged.

    Raises:
        TooFewPatients: no task has enough patients.
    """
    ways = int(rng.integers(2, min(settings.ways, max(len(task.classes) for task in tasks)) + 1))
    shots = int(rng.choice(settings.shots))
    able = [task for task in tasks if len(task.classes) >= ways]
    episodes: list[Episode] = []
    draws = 0
    for _ in range(ATTEMPTS):
        variant = random_variant(able[rng.integers(len(able))], ways, rng)
        try:
            if cross_validated:
                episodes += draw_folds(variant, shots=shots, queries=settings.queries, rng=rng)
            else:
                episodes.append(draw_episode(variant, shots=shots, queries=settings.queries, rng=rng))
        except TooFewPatients:
            continue
        draws += 1
        if draws == settings.tasks:
            return episodes
    raise TooFewPatients(_too_few(tasks, able, ways, shots, settings))


def _too_few(tasks: Sequence[Task], able: Sequence[Task], ways: int, shots: int, settings: BatchSettings) -> str:
    """Return the sentence that names the class that is too small, and every possible remedy."""
    task, name, patients = min(
        ((task, name, len(members)) for task in able for name, members in zip(task.classes, task.members, strict=True)),
        key=lambda found: found[2],
    )
    remedies = [f"ask for fewer shots (now {','.join(map(str, settings.shots))})"] if max(settings.shots) > 1 else []
    remedies += [f"give --ways {ways - 1}"] if ways > 2 else []
    return (
        f"No batch with {ways} classes and {shots} {'shot' if shots == 1 else 'shots'} could be drawn: of {len(tasks)} "
        f"tasks, {len(able)} have as many classes, and class '{name}' of task '{task.name}' has "
        f"{patients} {'patient' if patients == 1 else 'patients'} here, because training and validation use different "
        f"patients or tasks; {', '.join([*remedies, 'add patients of that class'])} or add tasks."
    )


VALIDATION = 2**40


@dataclass(frozen=True)
class Batches:
    """The batches of meta-training; each depends only on the seed and its number.

    Args:
        settings: the settings of every batch.
        input_spec: what the learner takes of each image.
        seed: decides every draw.
        device: where the batches go.
        cross_validated: whether every fold of a task's L_cv is an episode.
    """

    settings: BatchSettings
    input_spec: InputSpec
    seed: int
    device: torch.device
    cross_validated: bool

    def training(self, tasks: Sequence[Task], step: int) -> tuple[Episodes, Float[Tensor, " episodes"]]:
        """Return the batch of a step, augmented if the settings say so, and each episode's share of the loss."""
        rng = np.random.default_rng([self.seed, step])
        episodes = draw_batch(tasks, self.settings, rng, cross_validated=self.cross_validated)
        augmentation = Augmentation() if self.settings.augment else None
        batch = to_tensors(episodes, self.input_spec, self.device, augmentation, int(rng.integers(2**62)))
        return batch, task_shares(episodes).to(self.device)

    def validation(self, tasks: Sequence[Task], number: int) -> list[Episode]:
        """Draw the episodes of a validation batch."""
        rng = np.random.default_rng([self.seed, VALIDATION + number])
        return draw_batch(tasks, self.settings, rng, cross_validated=self.cross_validated)

    def tensors(self, episodes: Sequence[Episode]) -> tuple[Episodes, Float[Tensor, " episodes"]]:
        """Return episodes that were drawn before, not augmented, and each one's share of the loss."""
        return to_tensors(episodes, self.input_spec, self.device), task_shares(episodes).to(self.device)


def task_shares(episodes: Sequence[Episode]) -> Float[Tensor, " episodes"]:
    """Return each episode's share in a mean over tasks that is first a mean over the folds of each task."""
    folds = Counter(id(episode.task) for episode in episodes)
    return torch.tensor([1 / (folds[id(episode.task)] * len(folds)) for episode in episodes])


def to_tensors(
    episodes: Sequence[Episode],
    input_spec: InputSpec,
    device: torch.device,
    augmentation: Augmentation | None = None,
    seed: int = 0,
) -> Episodes:
    """Return the episodes on `device`, their pixels or voxels augmented if an `augmentation` is given.

    They are mirrored only if the task allows it. Features stay as they are; of several images of a sample some are
    left out.
    """
    batch = collate(episodes, input_spec, device)
    generator = torch.Generator(device).manual_seed(seed)
    if augmentation is None:
        return batch
    if not input_spec.is_grid:
        return replace(batch, images=input_spec.drop_images(batch.images, generator))
    mirrored = torch.zeros(len(batch.images), dtype=torch.bool)
    for side in (batch.support_side, batch.query_side):
        for rows, weights, episode in zip(side.rows.cpu(), side.weights.cpu(), episodes, strict=True):
            mirrored[rows[weights > 0]] = episode.task.flip
    images = batch.images.clone()
    for flip in (False, True):
        chosen = (mirrored == flip).to(device)
        if chosen.any():
            images[chosen] = augment(images[chosen], augmentation, flip=flip, generator=generator)
    return replace(batch, images=images)


@dataclass(frozen=True)
class TaskSplit:
    """Tasks for meta-training.

    Args:
        train: the outer loop's ordinary steps draw from these.
        new: every `refresh` steps the outer loop draws from these, so that the meta-network is judged on tasks whose
            gradients it was not trained on.
        validation: early stopping and the choice of the best parameters use these.
        by_patients: whether there were too few tasks to set any apart, so that the three hold disjoint patients of the
            same tasks.
    """

    train: Sequence[Task]
    new: Sequence[Task]
    validation: Sequence[Task]
    by_patients: bool


def split_tasks(tasks: Sequence[Task], seed: int = 0) -> TaskSplit:
    """Split tasks into train (6 parts), new and validation (1 part each).

    With eight or more sources, whole sources are split, since tasks of one source may share images. With fewer, the
    patients are split, once for all tasks: half of them train, a quarter is new and a quarter validates.

    Raises:
        InputError: there are no tasks.
        TooFewPatients: a class cannot be split into three parts.
    """
    if not tasks:
        raise InputError("There is no task to train on; give one or more.")
    rng = np.random.default_rng([seed, len(tasks)])
    sources = rng.permutation(sorted({task.source for task in tasks})).tolist()
    if len(sources) >= LEAST_TASKS:
        apart = len(sources) // LEAST_TASKS
        role = dict.fromkeys(sources, 0) | dict.fromkeys(sources[:apart], 1)
        role |= dict.fromkeys(sources[apart : 2 * apart], 2)
        train, new, validation = ([task for task in tasks if role[task.source] == part] for part in range(3))
        return TaskSplit(train, new, validation, by_patients=False)
    parts = split_patients(tasks, (0.5, 0.25, 0.25), rng)
    train, new, validation = (list(of_part) for of_part in zip(*parts, strict=True))
    return TaskSplit(train, new, validation, by_patients=True)
