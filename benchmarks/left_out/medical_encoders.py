"""Train medical encoders: for each fold of common/folds.json one without its data sets, and the shipped one.

NAME is a fold, "free" (only sets with a licence for redistribution and commercial use: the shipped encoder) or "all".
Finished encoders are skipped, interrupted ones resume. Next to each encoder, the folder "…-trained" holds the encoder
without any share of the weights before training.
"""

from dataclasses import replace
from pathlib import Path

from benchmarks.common.arguments import make_parser, parse
from benchmarks.common.tasks import FOLDS, FREE, QUICK
from benchmarks.left_out.encoder_sets import encoder_tasks, sources_without
from medshot.encoders.folder import RECORD, read_encoder, read_record, write_encoder
from medshot.encoders.lite0 import Lite0, imagenet_weights
from medshot.training import CHECKPOINT
from medshot.training.pretraining import OBJECTIVES, PARAMETERS, EncoderSettings, averaged, train_encoder_into

FEW_RATE = 0.003
"""Learning rate of training few parameters, larger than that of training all."""


def sources_of(name: str) -> list[str]:
    """Return the data sets that the encoder of that name is trained on."""
    if name == "free":
        return list(FREE)
    return sources_without(FOLDS[name] if name != "all" else ())


def main() -> None:
    parser = make_parser("left_out.medical_encoders", __doc__, report=False)
    parser.add_argument("names", nargs="+", choices=[*FOLDS, "free", "all"], metavar="NAME", help="fold, free or all")
    parser.add_argument("--objective", choices=OBJECTIVES, default="supervised")
    parser.add_argument("--parameters", choices=PARAMETERS, default="all")
    parser.add_argument("--steps", type=int, default=EncoderSettings.steps)
    arguments = parse(parser)
    steps = 2 if arguments.quick else arguments.steps
    kind = f"{arguments.objective}-{steps}"
    settings = EncoderSettings(objective=arguments.objective, steps=steps, kept=0.0)
    if arguments.parameters != "all":
        kind = f"{arguments.parameters}-{kind}"
        settings = replace(settings, parameters=arguments.parameters, learning_rate=FEW_RATE)
    for name in arguments.names:
        trained, folder = arguments.out / f"{kind}-trained" / name, arguments.out / kind / name
        if not (trained / RECORD).exists():
            sources = QUICK if arguments.quick else sources_of(name)
            tasks = encoder_tasks(arguments.data, arguments.out / "tasks", sources)
            resume = (trained / CHECKPOINT).exists()
            train_encoder_into(trained, tasks, settings, name="medical", resume=resume)
        if not (folder / RECORD).exists():
            folder.mkdir(parents=True, exist_ok=True)
            write_averaged(trained, folder, EncoderSettings.kept)


def write_averaged(trained: Path, folder: Path, kept: float) -> None:
    """Write the encoder that `train_encoder_into` would have written with a larger share of the initial weights."""
    record, encoder = read_record(trained), read_encoder(trained)
    network = encoder.build()
    assert isinstance(network, Lite0)
    assert encoder.training_images is not None
    weights = averaged(imagenet_weights(), network.network.state_dict(), kept)
    training = record.training | {"settings": record.training["settings"] | {"kept": kept}}
    write_encoder(folder, record.name, record.network, weights, encoder.training_images(), training)


if __name__ == "__main__":
    main()
