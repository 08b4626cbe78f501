"""Train medical encoders: for each fold of benchmarks/folds.json one without its data sets, and the one to ship.

Usage: python benchmarks/medical_encoders.py NAME... [--data FOLDER] [--runs FOLDER] [--objective NAME] [--steps N]

NAME is a fold, "free" (only sets whose licence allows redistribution and commercial use: the one that is shipped) or
"all". What is finished is passed over, and what was stopped goes on.
"""

import argparse
from pathlib import Path

from encoder_sets import FREE, encoder_tasks, sources_without

from medshot.networks.encoders.folder import RECORD
from medshot.storage import read_json
from medshot.training import CHECKPOINT
from medshot.training.encoders import OBJECTIVES, EncoderSettings, train_encoder_into

FOLDS = read_json(Path(__file__).with_name("folds.json"))["folds"]


def sources_of(name: str) -> list[str]:
    """The data sets that the encoder of that name is trained on."""
    if name == "free":
        return list(FREE)
    return sources_without(FOLDS[name] if name != "all" else ())


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("names", nargs="+", choices=[*FOLDS, "free", "all"], metavar="NAME", help="fold, free or all")
    parser.add_argument("--data", type=Path, default=Path("../shared/data"), help="folder of the data sets")
    parser.add_argument("--runs", type=Path, default=Path("runs/encoders"), help="where encoders are kept")
    parser.add_argument("--objective", choices=OBJECTIVES, default="supervised")
    parser.add_argument("--steps", type=int, default=EncoderSettings.steps)
    arguments = parser.parse_args()
    settings = EncoderSettings(objective=arguments.objective, steps=arguments.steps)
    for name in arguments.names:
        folder = arguments.runs / f"{arguments.objective}-{arguments.steps}" / name
        if not (folder / RECORD).exists():
            tasks = encoder_tasks(arguments.data, arguments.runs / "tasks", sources_of(name))
            resume = (folder / CHECKPOINT).exists()
            train_encoder_into(folder, tasks, settings, name="medical", resume=resume)


if __name__ == "__main__":
    main()
