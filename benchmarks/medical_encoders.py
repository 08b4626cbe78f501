"""Train medical encoders: for each fold of benchmarks/folds.json one without its data sets, and the one to ship.

Usage: python benchmarks/medical_encoders.py NAME... [--data FOLDER] [--runs FOLDER] [--objective NAME] [--steps N]
           [--parameters NAME]

NAME is a fold, "free" (only sets whose licence allows redistribution and commercial use: the one that is shipped) or
"all". What is finished is passed over, and what was stopped goes on. Beside each encoder stands, under "…-trained", the
one that keeps nothing of the weights before training.
"""

import argparse
from dataclasses import replace
from pathlib import Path

from encoder_sets import FREE, encoder_tasks, sources_without

from medshot.encoders.folder import RECORD, read_encoder, read_record, write_encoder
from medshot.encoders.lite0 import Lite0, imagenet_weights
from medshot.storage import read_json
from medshot.training import CHECKPOINT
from medshot.training.pretraining import OBJECTIVES, PARAMETERS, EncoderSettings, averaged, train_encoder_into

FEW_RATE = 0.003
"""Few parameters take larger steps than all of them."""
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
    parser.add_argument("--parameters", choices=PARAMETERS, default="all")
    parser.add_argument("--steps", type=int, default=EncoderSettings.steps)
    arguments = parser.parse_args()
    kind = f"{arguments.objective}-{arguments.steps}"
    settings = EncoderSettings(objective=arguments.objective, steps=arguments.steps, kept=0.0)
    if arguments.parameters != "all":
        kind = f"{arguments.parameters}-{kind}"
        settings = replace(settings, parameters=arguments.parameters, learning_rate=FEW_RATE)
    for name in arguments.names:
        trained, folder = arguments.runs / f"{kind}-trained" / name, arguments.runs / kind / name
        if not (trained / RECORD).exists():
            tasks = encoder_tasks(arguments.data, arguments.runs / "tasks", sources_of(name))
            resume = (trained / CHECKPOINT).exists()
            train_encoder_into(trained, tasks, settings, name="medical", resume=resume)
        if not (folder / RECORD).exists():
            folder.mkdir(parents=True, exist_ok=True)
            write_averaged(trained, folder, EncoderSettings.kept)


def write_averaged(trained: Path, folder: Path, kept: float) -> None:
    """Write the encoder that `train_encoder_into` would have written with more of the start kept."""
    record, encoder = read_record(trained), read_encoder(trained)
    network = encoder.build()
    assert isinstance(network, Lite0)
    assert encoder.training_images is not None
    weights = averaged(imagenet_weights(), network.network.state_dict(), kept)
    training = record.training | {"settings": record.training["settings"] | {"kept": kept}}
    write_encoder(folder, record.name, record.network, weights, encoder.training_images(), training)


if __name__ == "__main__":
    main()
