"""Which images to label next, given a model and a pool of images without labels."""

from medshot.selection.labelling.learned import Coefficients, shipped
from medshot.selection.labelling.pool import Pool, standardised
from medshot.selection.labelling.strategies import DEFAULT, STRATEGIES, Strategy
from medshot.selection.labelling.suggesting import Suggestion, suggest

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
