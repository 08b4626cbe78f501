"""Honest evaluation: protocols, metrics with intervals, paired comparison."""

from medshot.evaluation.predictions import EpisodePredictions
from medshot.evaluation.protocol import Cell, Protocol, compare, evaluate
from medshot.evaluation.results import Results

__all__ = ["Cell", "EpisodePredictions", "Protocol", "Results", "compare", "evaluate"]
