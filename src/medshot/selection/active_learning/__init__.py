"""Active learning: choose the images to label next, given a model and a pool of images without labels."""

from medshot.selection.active_learning.pool import Pool, standardised
from medshot.selection.active_learning.strategies import DEFAULT, STRATEGIES, Coefficients, Strategy, shipped
from medshot.selection.active_learning.suggesting import Suggestion, suggest

__all__ = [
    "DEFAULT",
    "STRATEGIES",
    "Coefficients",
    "Pool",
    "Strategy",
    "Suggestion",
    "shipped",
    "standardised",
    "suggest",
]
