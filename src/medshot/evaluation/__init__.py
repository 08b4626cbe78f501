"""Evaluation: protocols, metrics with intervals, paired comparison."""

from medshot.evaluation.overlap import leave_out_training_images, refuse_overlap
from medshot.evaluation.predictions import EpisodePredictions
from medshot.evaluation.protocol import Cell, Protocol, compare, draw_episodes, evaluate
from medshot.evaluation.results import Results
from medshot.evaluation.running import run_episodes

__all__ = [
    "Cell",
    "EpisodePredictions",
    "Protocol",
    "Results",
    "compare",
    "draw_episodes",
    "evaluate",
    "leave_out_training_images",
    "refuse_overlap",
    "run_episodes",
]
