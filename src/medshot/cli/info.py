"""`medshot info`: describe a run or model folder; only JSON is read, so the answer comes at once."""

from pathlib import Path
from typing import Annotated, Any

import typer

from medshot.cli.options import Json, print_json
from medshot.errors import StorageError

KINDS = ("model", "run")


def info(
    folder: Annotated[Path, typer.Argument(help="Run or model folder.")],
    as_json: Json = False,
) -> None:
    """Describe a run or model folder without loading it.

    Example: medshot info run --json
    """
    record = _read(folder)
    if as_json:
        print_json(record)
        return
    try:
        lines = _lines(record)
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise StorageError(
            f"{folder / record['kind']}.json does not describe a {record['kind']}; it was edited or comes from another "
            "version of medshot. Make the folder again."
        ) from error
    print("\n".join(lines))


def _read(folder: Path) -> dict[str, Any]:
    """Return the folder's record with its `kind`, "run" or "model"; StorageError if the folder is neither."""
    from medshot.storage import read_json
    from medshot.unfinished import is_unfinished, why_not

    for kind in KINDS:
        if (folder / f"{kind}.json").is_file():
            return {"kind": kind} | read_json(folder / f"{kind}.json")
    if is_unfinished(folder) and any(folder.iterdir()):
        raise StorageError(why_not(folder, "run"))
    raise StorageError(f"{folder} is neither a finished run nor a model (no run.json, no model.json); check the path.")


def _lines(record: dict[str, Any]) -> list[str]:
    learner = record["learner"]
    lines = [
        f"{record['kind']} of medshot {record['version']} (format {record['format']})",
        f"learner: {learner['name']}, {_input(learner['input'])}",
        "settings: " + ", ".join(f"{name} {value}" for name, value in learner["settings"].items()),
    ]
    training = learner["training"]
    if training:
        lines.append(
            f"meta-trained: {training['date']}, {training['steps']} steps (best {training['best_step']}), seed "
            f"{training['seed']}, engine {training['engine']}, torch {training['torch']}, {training['threads']} threads"
        )
        lines += [
            f"  task {task['name']}: {task['images']} images of {task['patients']} patients; "
            f"{', '.join(task['classes'])}"
            for task in training["tasks"]
        ]
    if record["model"]:
        classes = zip(record["model"]["classes"], record["model"]["images_per_class"], strict=True)
        lines.append("fitted on: " + ", ".join(f"{name} ({count} images)" for name, count in classes))
        if record["model"].get("explanation"):
            lines.append(record["model"]["explanation"])
        lines.append(record["model"]["purpose"])
    return lines


def _input(spec: dict[str, Any]) -> str:
    """Describe what the learner takes of each image."""
    if "encoder" in spec:
        images, cut = spec.get("images"), spec.get("cut", "whole")
        several = f", up to {images} images a sample" if (images or 1) > 1 else ""
        features = f"features of encoder {spec['encoder']} ({spec['sha256'][:12]})"
        return ("bags of " if images else "") + features + ("" if cut == "whole" else f", {cut}") + several
    if "blocks" in spec:
        return f"vectors of {sum(spec['blocks'])} features"
    kind, axes = ("volumes", 3) if "dimensions" in spec else ("images", 2)
    return f"{kind} {spec['channels']}" + f"×{spec['size']}" * axes
