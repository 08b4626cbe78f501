"""Checkpoints: the state of meta-training in one file, from which it continues and ends with the same bits."""

import json
import shutil
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from types import FrameType, TracebackType
from typing import Any

import numpy as np
import torch
from torch import nn

from medshot.errors import StorageError
from medshot.storage import read_arrays, read_metadata, refuse_existing, write_arrays

CHECKPOINT = "checkpoint.safetensors"
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
    """

    step: int = 0
    best_loss: float | None = None
    best_step: int = 0
    stale: int = 0
    converged: bool = False
    engine: str = ""
    fingerprint: str = ""


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
    folder: Path, fingerprint: str, learner: nn.Module, optimizer: torch.optim.Adam
) -> tuple[Progress, dict[str, torch.Tensor], torch.Tensor]:
    """Restore learner and optimizer from the checkpoint.

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
    if progress.fingerprint != fingerprint:
        raise StorageError(
            f"{path} was made with other tasks or settings; give the same ones to continue, or start again elsewhere."
        )
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


def check_unfinished(folder: Path, record: str, *, resume: bool) -> None:
    """Check that there is nothing at `folder`, or, to resume, unfinished training.

    Args:
        folder: where training will be written.
        record: the JSON file that is written last, named by what it describes: run.json, encoder.json.
        resume: whether unfinished training is continued.

    Raises:
        StorageError: `folder` exists (without `resume`), is finished, or holds nothing to continue.
    """
    what = Path(record).stem
    if not resume:
        refuse_existing(folder)
    elif (folder / record).exists():
        raise StorageError(f"{folder} is a finished {what}; leave --resume out and choose another folder.")
    elif not (folder / CHECKPOINT).exists():
        raise StorageError(f"{folder} holds no unfinished {what} to continue; leave --resume out.")


@contextmanager
def unfinished(folder: Path, *, resume: bool) -> Iterator[None]:
    """Make the folder that the block fills, and remove the checkpoint when it ends well.

    A block that fails leaves the folder for `resume`, or no folder if there was no checkpoint yet.

    Raises:
        StorageError: the folder cannot be made.
    """
    try:
        folder.mkdir(parents=True, exist_ok=resume)
    except OSError as error:
        raise StorageError(f"{folder} could not be created ({error.strerror}); choose another folder.") from error
    try:
        yield
    except BaseException:
        if not (folder / CHECKPOINT).exists():
            shutil.rmtree(folder, ignore_errors=True)
        raise
    (folder / CHECKPOINT).unlink()


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
