"""The outer loop: batches of episodes, the engine, checkpoints and resume, devices."""

from medshot.training.batches import BatchSettings, draw_batch, to_tensors
from medshot.training.checkpoint import CHECKPOINT, check_unfinished, unfinished
from medshot.training.engine import Engine, fastest_engine, parse_engine, resolve_device
from medshot.training.outer import OuterSettings, Report, meta_train
from medshot.training.reporter import Reporter
from medshot.training.split import TaskSplit, split_tasks
from medshot.training.trainable import Trainable

__all__ = [
    "CHECKPOINT",
    "BatchSettings",
    "Engine",
    "OuterSettings",
    "Report",
    "Reporter",
    "TaskSplit",
    "Trainable",
    "check_unfinished",
    "draw_batch",
    "fastest_engine",
    "meta_train",
    "parse_engine",
    "resolve_device",
    "split_tasks",
    "to_tensors",
    "unfinished",
]
