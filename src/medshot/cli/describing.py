"""What `medshot info` says of a folder; reads JSON alone, so that it answers at once."""

from pathlib import Path
from typing import Any

from medshot.errors import StorageError
from medshot.storage import read_json

KINDS = ("model", "run")


def facts(folder: Path) -> dict[str, Any]:
    """What the folder's record says, with `kind` "run" or "model"; StorageError if it is neither."""
    for kind in KINDS:
        if (folder / f"{kind}.json").is_file():
            return {"kind": kind} | read_json(folder / f"{kind}.json")
    raise StorageError(f"{folder} is neither a finished run nor a model (no run.json, no model.json); check the path.")


def describe(folder: Path) -> str:
    """The facts as lines for people; StorageError if the record lacks one."""
    found = facts(folder)
    try:
        return "\n".join(_lines(found))
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise StorageError(
            f"{folder / found['kind']}.json does not describe a {found['kind']}; it was changed or is of another "
            "version, make it anew."
        ) from error


def _lines(found: dict[str, Any]) -> list[str]:
    learner = found["learner"]
    lines = [
        f"{found['kind']} of medshot {found['version']} (format {found['format']})",
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
    if found["model"]:
        classes = zip(found["model"]["classes"], found["model"]["images_per_class"], strict=True)
        lines.append("fitted on: " + ", ".join(f"{name} ({count} images)" for name, count in classes))
        lines.append(found["model"]["purpose"])
    return lines


def _input(taken: dict[str, Any]) -> str:
    """What the learner takes of each image."""
    if "encoder" in taken:
        images, cut = taken.get("images"), taken.get("cut", "whole")
        several = f", up to {images} images a sample" if (images or 1) > 1 else ""
        of = f"features of encoder {taken['encoder']} ({taken['sha256'][:12]})" + ("" if cut == "whole" else f", {cut}")
        return ("bags of " if images else "") + of + several
    if "blocks" in taken:
        return f"vectors of {sum(taken['blocks'])} features"
    kind, axes = ("volumes", 3) if "dimensions" in taken else ("images", 2)
    return f"{kind} {taken['channels']}" + f"×{taken['size']}" * axes
