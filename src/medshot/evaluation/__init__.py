"""Evaluation: protocols, metrics with intervals, paired comparison."""

from medshot.evaluation.overlap import leave_out_training_images, refuse_overlap
from medshot.evaluation.predictions import EpisodePredictions
from medshot.evaluation.protocol import Cell, Protocol, compare, draw_episodes, evaluate, run_episodes
from medshot.evaluation.results import Results

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
