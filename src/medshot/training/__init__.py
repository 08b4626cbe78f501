"""The outer loop: batches of episodes, the engine, checkpoints and resume, devices."""

from medshot.training.batches import Batches, BatchSettings, TaskSplit, draw_batch, split_tasks, to_tensors
from medshot.training.engine import Engine, fastest_engine, parse_engine, resolve_device
from medshot.training.outer import OuterLoop, OuterSettings, Report
from medshot.training.reporter import Reporter
from medshot.unfinished import CHECKPOINT, check_unfinished, unfinished

__all__ = [
    "CHECKPOINT",
    "BatchSettings",
    "Batches",
    "Engine",
    "OuterLoop",
    "OuterSettings",
    "Report",
    "Reporter",
    "TaskSplit",
    "check_unfinished",
    "draw_batch",
    "fastest_engine",
    "parse_engine",
    "resolve_device",
    "split_tasks",
    "to_tensors",
    "unfinished",
]
