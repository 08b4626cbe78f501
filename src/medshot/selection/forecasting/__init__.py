"""What accuracy to expect of a task now and after more labels, from the learning curves of past tasks."""

from medshot.selection.forecasting.curves import MORE, Curve, read_curves
from medshot.selection.forecasting.forecaster import COVERAGE, Expected, Forecaster
from medshot.selection.forecasting.signs import Signs, signs_of

__all__ = ["COVERAGE", "MORE", "Curve", "Expected", "Forecaster", "Signs", "read_curves", "signs_of"]
