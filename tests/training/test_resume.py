"""Stopped or killed at any moment and resumed, meta-training ends with the same bits (law 6)."""

import json
import os
import signal
import subprocess
import sys
import threading
import time
from dataclasses import replace
from pathlib import Path

import pytest
from small_learners import SMALL, tiny
from small_tasks import SHAPE, textured, write_images

from medshot.errors import Interrupted, MedshotError, StorageError
from medshot.imaging import ImageInput
from medshot.learners import Learner, create
from medshot.storage import read_arrays, write_arrays
from medshot.training import CHECKPOINT, BatchSettings, OuterLoop, OuterSettings
from medshot.training.checkpoint import StopRequest

TASKS = [textured(seed, patients=4) for seed in range(8)]
SETTINGS = OuterSettings(
    steps=10,
    learning_rate=0.01,
    refresh=3,
    validate_every=4,
    validation_batches=1,
    batch=BatchSettings(tasks=2, ways=2, shots=(1, 2), queries=1),
)


def train(
    folder: Path | None, *, tasks=TASKS, settings=SETTINGS, stop_at: int | None = None, fail_at="", resume=False
) -> tuple:
    """Meta-train, with Ctrl-C pressed during step `stop_at` or an error; return the learner and the events."""
    events = []

    def report(event):
        events.append(event)
        if event["kind"] == fail_at:
            raise KeyError("before the run folder is finished")
        if event["kind"] == "step" and event["step"] == stop_at:
            signal.raise_signal(signal.SIGINT)

    learner = tiny("metal", doubles=False, stir=False, steps=1)
    learner.meta_fit(tasks, settings=settings, folder=folder, resume=resume, engine="vmap", report=report)
    return learner, events


def bits(learner: Learner) -> dict[str, bytes]:
    return {name: value.numpy().tobytes() for name, value in learner.state_dict().items()}


@pytest.fixture(scope="module")
def uninterrupted() -> tuple:
    return train(None)


def without_clock(events: list[dict]) -> list[dict]:
    return [{name: value for name, value in event.items() if name != "seconds"} for event in events]


@pytest.mark.parametrize("stop_at", [1, 3, 4, 6, 9, 10])
def test_stopped_by_ctrl_c_and_resumed_ends_with_the_same_bits(tmp_path, uninterrupted, stop_at):
    learner, events = uninterrupted
    with pytest.raises(Interrupted, match=rf"after step {stop_at} of 10: it is saved in .*--resume"):
        train(tmp_path / "run", stop_at=stop_at)
    resumed, _ = train(tmp_path / "run", resume=True)
    assert bits(resumed) == bits(learner)
    history = [json.loads(line) for line in (tmp_path / "run" / "events.jsonl").read_text().splitlines()]
    for kind in ("step", "validation"):
        written = [event for event in history if event["kind"] == kind]
        assert without_clock(written) == without_clock([e for e in events if e["kind"] == kind])
    assert resumed.training_record.best_step == learner.training_record.best_step
    assert resumed.training_record.engine == "vmap"


def test_training_changes_the_parameters_and_early_stopping_survives_a_stop(tmp_path):
    start = tiny("metal", doubles=False, stir=False, steps=1)
    moved = [event["moved"] for event in train(None)[1] if event["kind"] == "validation"]
    assert min(moved) > 0
    eager = replace(SETTINGS, learning_rate=1e-5, patience=1, tolerance=1.0)
    learner, events = train(None, settings=eager)
    assert bits(learner) != bits(start)
    with pytest.raises(Interrupted):
        train(tmp_path / "run", settings=eager, stop_at=3)
    assert bits(train(tmp_path / "run", settings=eager, resume=True)[0]) == bits(learner)
    assert events[-1]["kind"] == "end"


def test_what_has_stopped_early_learns_no_more_when_it_is_resumed(tmp_path):
    settings = replace(SETTINGS, learning_rate=0.3, validate_every=1, patience=1, tolerance=1e9)
    learner, _ = train(None, settings=settings)
    assert learner.training_record.steps < settings.steps
    with pytest.raises(KeyError, match="before the run folder is finished"):
        train(tmp_path / "run", settings=settings, fail_at="end")
    resumed, more = train(tmp_path / "run", settings=settings, resume=True)
    assert [event["kind"] for event in more] == ["start", "end"]
    assert bits(resumed) == bits(learner)


def test_ctrl_c_without_a_folder_reports_that_nothing_is_kept():
    with pytest.raises(Interrupted, match="not saved"):
        train(None, stop_at=2)


@pytest.mark.parametrize(
    "other",
    [
        replace(SETTINGS, learning_rate=0.02),
        replace(SETTINGS, seed=1),
        replace(SETTINGS, batch=replace(SETTINGS.batch, queries=2)),
    ],
)
def test_a_checkpoint_of_other_settings_is_refused(tmp_path, other):
    with pytest.raises(Interrupted):
        train(tmp_path / "run", stop_at=2)
    with pytest.raises(StorageError, match="other tasks or settings"):
        train(tmp_path / "run", settings=other, resume=True)


@pytest.mark.parametrize("other", [{"max_steps": 9}, {"learning_rate": 0.5}, {"input_spec": ImageInput(1, 24)}])
def test_a_checkpoint_of_another_learner_is_refused_though_its_parameters_fit(tmp_path, other):
    with pytest.raises(Interrupted):
        train(tmp_path / "run", stop_at=2)
    learner = create("metal", **{"input_spec": SHAPE, **SMALL["metal"], "steps": 1} | other)
    with pytest.raises(StorageError, match="other tasks or settings"):
        learner.meta_fit(TASKS, settings=SETTINGS, folder=tmp_path / "run", resume=True, report=lambda event: None)


def test_a_checkpoint_of_other_patients_is_refused(tmp_path):
    with pytest.raises(Interrupted):
        train(tmp_path / "run", stop_at=2)
    others = [replace(task, patients=task.patients // 2) for task in TASKS]
    with pytest.raises(StorageError, match="other tasks or settings"):
        train(tmp_path / "run", tasks=others, resume=True)


def test_a_checkpoint_of_other_tasks_is_refused(tmp_path):
    with pytest.raises(Interrupted):
        train(tmp_path / "run", stop_at=2)
    others = [*TASKS[1:], textured(9, patients=4)]
    with pytest.raises(StorageError, match="other tasks or settings"):
        train(tmp_path / "run", tasks=others, resume=True)


def test_a_damaged_checkpoint_is_one_sentence(tmp_path):
    with pytest.raises(Interrupted):
        train(tmp_path / "run", stop_at=2)
    path = tmp_path / "run" / CHECKPOINT
    whole = path.read_bytes()
    arrays = read_arrays(path)
    path.write_bytes(whole[: len(whole) // 2])
    with pytest.raises(StorageError):
        train(tmp_path / "run", resume=True)
    write_arrays(path, arrays)
    with pytest.raises(StorageError, match="not a checkpoint of this version"):
        train(tmp_path / "run", resume=True)


def test_a_loss_that_is_no_number_stops_with_one_sentence():
    learner = tiny("metal", doubles=False, steps=1)
    learner.beta.data.fill_(float("nan"))
    with pytest.raises(MedshotError, match="meta-loss is nan at step 1"):
        learner.meta_fit(TASKS, settings=SETTINGS, engine="loop", report=lambda event: None)


def test_a_gradient_or_validation_loss_that_is_no_number_stops_with_one_sentence(monkeypatch):
    learner = tiny("metal", doubles=False, steps=1)
    learner.beta.register_hook(lambda gradient: gradient * float("nan"))
    with pytest.raises(MedshotError, match="norm of the meta-gradient is nan at step 1"):
        learner.meta_fit(TASKS, settings=SETTINGS, engine="loop", report=lambda event: None)
    monkeypatch.setattr(OuterLoop, "_validate", lambda *_: (float("nan"), 0.5))
    with pytest.raises(MedshotError, match="validation loss is nan at step 4"):
        train(None)


def test_the_first_ctrl_c_asks_and_the_second_interrupts():
    before = signal.getsignal(signal.SIGINT)
    with StopRequest() as stop:
        assert not stop.requested
        signal.raise_signal(signal.SIGINT)
        assert stop.requested
        with pytest.raises(KeyboardInterrupt):
            signal.raise_signal(signal.SIGINT)
    assert signal.getsignal(signal.SIGINT) is before


def test_in_another_thread_ctrl_c_is_left_alone():
    before, seen = signal.getsignal(signal.SIGINT), []

    def work():
        with StopRequest() as stop:
            seen.append((signal.getsignal(signal.SIGINT), stop.requested))

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert seen == [(before, False)]


@pytest.mark.slow
def test_a_killed_process_resumed_from_the_command_line_ends_with_the_same_bits(tmp_path):
    for task in TASKS:
        write_images(task, tmp_path / "tasks" / task.name)
    options = [
        *("--size", "20", "--steps", "60", "--shots", "1", "--queries", "1", "--ways", "2"),
        *("--batch", "2", "--engine", "vmap"),
    ]
    start = [
        sys.executable,
        "-c",
        "from medshot.cli import main; main()",
        "meta-train",
        str(tmp_path / "tasks"),
        *options,
        "--out",
    ]
    quiet = {
        "env": os.environ | {"OMP_NUM_THREADS": "1"},
        "stdout": subprocess.DEVNULL,
        "stderr": subprocess.DEVNULL,
    }
    whole, killed = tmp_path / "whole", tmp_path / "killed"
    subprocess.run([*start, str(whole)], check=True, **quiet)
    process = subprocess.Popen([*start, str(killed)], **quiet)
    history = killed / "events.jsonl"
    while process.poll() is None and not (history.exists() and '"step": 53' in history.read_text()):
        time.sleep(0.01)
    process.kill()
    assert process.wait() == -signal.SIGKILL, "it had ended before it was killed"
    assert not (killed / "run.json").exists()
    subprocess.run([*start, str(killed), "--resume"], check=True, **quiet)
    name = "learner.safetensors"
    assert (killed / name).read_bytes() == (whole / name).read_bytes()
    events = [json.loads(line) for line in history.read_text().splitlines()]
    assert [event["step"] for event in events if event["kind"] == "step"] == list(range(1, 61))
    assert not (killed / CHECKPOINT).exists()
