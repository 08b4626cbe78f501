"""Checkpoints: the state of meta-training in one file, from which it continues and ends with the same bits."""

import json
import signal
import threading
from dataclasses import asdict, dataclass, field
from pathlib import Path
from types import FrameType, TracebackType
from typing import Any

import numpy as np
import torch
from torch import nn

from medshot.errors import StorageError
from medshot.storage import read_arrays, read_metadata, write_arrays
from medshot.unfinished import CHECKPOINT, refuse_other_settings

LAST = "last"


@dataclass
class Progress:
    """The progress of meta-training; all randomness is a function of the seed and `step`, so no generator is kept.

    Args:
        step: outer steps done.
        best_loss: the lowest validation loss so far, None before the first.
        best_step: the step of that loss.
        stale: validations since then.
        converged: whether training is to stop before its last step.
        engine: how tasks are batched; measured once and kept.
        fingerprint: digest of the settings and tasks that this training belongs to.
        content: these settings by their names, and the digest of each task, to name what differs when training resumes;
            empty in checkpoints of earlier versions.
    """

    step: int = 0
    best_loss: float | None = None
    best_step: int = 0
    stale: int = 0
    converged: bool = False
    engine: str = ""
    fingerprint: str = ""
    content: dict[str, Any] = field(default_factory=dict)


def save_checkpoint(
    folder: Path,
    progress: Progress,
    learner: nn.Module,
    best: dict[str, torch.Tensor],
    last: torch.Tensor,
    optimizer: torch.optim.Adam,
) -> None:
    """Write the checkpoint in one atomic step over the last one."""
    arrays = {f"learner/{name}": value for name, value in learner.state_dict().items()}
    arrays |= {f"best/{name}": value for name, value in best.items()} | {LAST: last}
    arrays |= optimizer_arrays(optimizer)
    plain = {name: value.detach().cpu().numpy() for name, value in arrays.items()}
    write_arrays(folder / CHECKPOINT, plain, {"progress": json.dumps(asdict(progress))})


def load_checkpoint(
    folder: Path, expected: Progress, learner: nn.Module, optimizer: torch.optim.Adam
) -> tuple[Progress, dict[str, torch.Tensor], torch.Tensor]:
    """Restore learner and optimizer from the checkpoint.

    Args:
        folder: the folder with the checkpoint.
        expected: the progress of training that has not begun, with the present fingerprint and content.
        learner: the learner.
        optimizer: the optimizer of its parameters.

    Returns:
        The progress, the best parameters, and the parameters at the last validation as one vector.

    Raises:
        StorageError: the checkpoint is damaged, or belongs to other settings or tasks.
    """
    path = folder / CHECKPOINT
    arrays = {name: torch.from_numpy(np.array(value)) for name, value in read_arrays(path).items()}
    try:
        progress = Progress(**json.loads(read_metadata(path)["progress"]))
        last = arrays[LAST]
    except (KeyError, TypeError, ValueError) as error:
        raise StorageError(f"{path} is not a checkpoint of this version; start again in another folder.") from error
    if progress.fingerprint != expected.fingerprint:
        refuse_other_settings(path, progress.content, expected.content)
    learner.load_state_dict(_under("learner/", arrays))
    restore_optimizer(optimizer, arrays)
    return progress, _under("best/", arrays), last


def optimizer_arrays(optimizer: torch.optim.Optimizer) -> dict[str, torch.Tensor]:
    """Return the optimizer's state of every parameter, by names that begin with "adam/"."""
    return {
        f"adam/{index}/{name}": torch.as_tensor(value)
        for index, state in optimizer.state_dict()["state"].items()
        for name, value in state.items()
    }


def restore_optimizer(optimizer: torch.optim.Optimizer, arrays: dict[str, torch.Tensor]) -> None:
    """Restore the optimizer's state from what `optimizer_arrays` returned."""
    adam: dict[int, dict[str, torch.Tensor]] = {}
    for name, value in _under("adam/", arrays).items():
        index, _, key = name.partition("/")
        adam.setdefault(int(index), {})[key] = value
    optimizer.load_state_dict(optimizer.state_dict() | {"state": adam})


def _under(prefix: str, arrays: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    return {name.removeprefix(prefix): value for name, value in arrays.items() if name.startswith(prefix)}


class StopRequest:
    """While this context lasts, the first Ctrl-C sets `requested`; a second one interrupts at once, as usual."""

    def __init__(self) -> None:
        self.requested = False
        self._previous: Any = None

    def __enter__(self) -> "StopRequest":
        if threading.current_thread() is threading.main_thread():
            self._previous = signal.signal(signal.SIGINT, self._request)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._previous is not None:
            signal.signal(signal.SIGINT, self._previous)

    def _request(self, number: int, frame: FrameType | None) -> None:
        if self.requested:
            raise KeyboardInterrupt
        self.requested = True
