"""The sub-commands. Heavy modules are imported when a command runs, so that `--help` is instant."""

from medshot.cli.commands.judging import check, evaluate, forecast
from medshot.cli.commands.learning import meta_train, quickstart, train_encoder
from medshot.cli.commands.telling import info, learners
from medshot.cli.commands.using import adapt, next_images, predict

__all__ = [
    "adapt",
    "check",
    "evaluate",
    "forecast",
    "info",
    "learners",
    "meta_train",
    "next_images",
    "predict",
    "quickstart",
    "train_encoder",
]
