"""Tasks, episodes, the patient-disjoint sampler, and reading tasks from disk."""

from medshot.tasks.episode import Episode, Episodes, Support, collate
from medshot.tasks.manifest import MANIFEST_SUFFIXES, read_images, read_patients
from medshot.tasks.provenance import MARKS, TaskRecord, digest_of, marks_of, task_records, training_images
from medshot.tasks.reading import load_tasks, sample_images, task_from_files
from medshot.tasks.sampler import draw_episode, draw_folds, draw_support, split_patients
from medshot.tasks.task import Task, keep_classes, merge_classes, random_variant

__all__ = [
    "MANIFEST_SUFFIXES",
    "MARKS",
    "Episode",
    "Episodes",
    "Support",
    "Task",
    "TaskRecord",
    "collate",
    "digest_of",
    "draw_episode",
    "draw_folds",
    "draw_support",
    "keep_classes",
    "load_tasks",
    "marks_of",
    "merge_classes",
    "random_variant",
    "read_images",
    "read_patients",
    "sample_images",
    "split_patients",
    "task_from_files",
    "task_records",
    "training_images",
]
