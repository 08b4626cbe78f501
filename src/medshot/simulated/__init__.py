"""Simulated tasks: unlimited, labelled, with patients and the truth about every finding."""

from medshot.simulated.families import FAMILIES, simulate
from medshot.simulated.rendered import Rendered

__all__ = ["FAMILIES", "Rendered", "simulate"]
