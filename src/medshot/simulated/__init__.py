"""Simulated tasks, in any number, with labels, patients, and the true place of every finding."""

from medshot.simulated.families import FAMILIES, simulate
from medshot.simulated.rendered import Rendered

__all__ = ["FAMILIES", "Rendered", "simulate"]
