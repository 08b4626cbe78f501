"""Training an encoder into a folder: the trained and the frozen parts, and stopping without a trace."""

import os
import shutil
import signal
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from command_line import medshot, write_ward
from hypothesis import given
from hypothesis import strategies as some
from small_tasks import labelled, textured

from medshot.encoders import EncodedInput, encoders_of, reader_of
from medshot.encoders.folder import WEIGHTS, read_record
from medshot.encoders.lite0 import ARCHITECTURE, Lite0, imagenet_weights
from medshot.errors import InputError, Interrupted, MedshotError, StorageError, TooFewPatients
from medshot.simulated import simulate
from medshot.storage import read_arrays, read_metadata, write_arrays
from medshot.tasks import load_tasks, training_images
from medshot.training import CHECKPOINT
from medshot.training.pretraining import OBJECTIVES, EncoderSettings, averaged, loop, train_encoder, train_encoder_into
from medshot.training.pretraining.loop import _fabric, draw_episodes, draw_pictures

TASKS = [simulate(family, seed=seed, patients=4, size=40) for seed, family in enumerate(("chest", "brain"), 1)]
SMALL = EncoderSettings(steps=3, tasks=2, shots=1, queries=1, size=32, checkpoint_every=2, head_rate=0.01)


class Killed(BaseException):
    """An error that ends training as a kill does: nothing more is saved."""


def of_objective(name: str) -> EncoderSettings:
    return replace(SMALL, objective=name)


WAYS = {name: of_objective(name) for name in OBJECTIVES} | {"low-rank": replace(SMALL, parameters="low-rank")}


def stop_before(step: int, monkeypatch: pytest.MonkeyPatch, how) -> None:
    """Do something when the pictures of a step, counted from 0, are drawn."""
    drawn = []

    def draw(*arguments):
        drawn.append(arguments)
        if len(drawn) == step + 1:
            how()
        return draw_pictures(*arguments)

    monkeypatch.setattr(loop, "draw_pictures", draw)


def kill() -> None:
    raise Killed


class Encoders(dict[str, Path]):
    """For each way to train, an encoder whose training nothing interrupted, made when it is first asked for."""

    def __init__(self, folder: Path) -> None:
        super().__init__()
        self.folder = folder

    def __missing__(self, name: str) -> Path:
        train_encoder_into(self.folder / name, TASKS, WAYS[name])
        self[name] = self.folder / name
        return self[name]


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Encoders:
    return Encoders(tmp_path_factory.mktemp("encoders"))


def one_is_fast(names) -> list:
    """Return parameters of which all but the first are slow."""
    first, *others = names
    return [first, *(pytest.param(name, marks=pytest.mark.slow) for name in others)]


@pytest.mark.parametrize("name", one_is_fast(WAYS))
@pytest.mark.parametrize("ctrl_c", [False, True])
def test_stopped_and_resumed_it_ends_with_the_same_bits(tmp_path, monkeypatch, whole, name, ctrl_c):
    folder, settings = tmp_path / name, WAYS[name]
    with monkeypatch.context() as patch:
        stop_before(0 if ctrl_c else 2, patch, (lambda: signal.raise_signal(signal.SIGINT)) if ctrl_c else kill)
        with pytest.raises(Interrupted if ctrl_c else Killed):
            train_encoder_into(folder, TASKS, settings)
    assert len(read_arrays(folder / CHECKPOINT)["losses"]) == (1 if ctrl_c else 2)
    assert not (folder / "encoder.json").exists()
    train_encoder_into(folder, TASKS, settings, resume=True)
    ours, theirs = read_record(folder), read_record(whole[name])
    assert ours.arrays == theirs.arrays
    assert ours.training["losses"] == theirs.training["losses"]
    assert {path.name for path in folder.iterdir()} == {"encoder.json", *ours.arrays}


def test_what_was_trained_to_the_end_but_not_written_is_written(tmp_path, monkeypatch, whole):
    folder = tmp_path / "supervised"
    with monkeypatch.context() as patch:
        patch.setattr("medshot.training.pretraining.folder.write_encoder", lambda *_: kill())
        with pytest.raises(Killed):
            train_encoder_into(folder, TASKS, SMALL)
    monkeypatch.setattr(loop, "draw_pictures", lambda *_: pytest.fail("it trained on"))
    train_encoder_into(folder, TASKS, SMALL, resume=True)
    assert read_record(folder).arrays == read_record(whole["supervised"]).arrays


@pytest.mark.parametrize("name", one_is_fast(OBJECTIVES))
def test_frozen_blocks_and_the_statistics_of_batch_norm_stay_and_all_else_is_trained(tmp_path, name):
    network, before = Lite0(imagenet_weights()), Lite0(imagenet_weights()).state_dict()
    network.unfreeze(SMALL.frozen)
    losses = train_encoder(network, TASKS, of_objective(name), folder=tmp_path, device=torch.device("cpu"))
    frozen = ("network._conv_stem.", "network._bn0.", *(f"network._blocks.{block}." for block in range(3)))
    for key, value in network.state_dict().items():
        stays = key.startswith(frozen) or key.rpartition(".")[2] in (
            "running_mean",
            "running_var",
            "num_batches_tracked",
        )
        assert torch.equal(value, before[key]) == stays, key
        assert value.isfinite().all(), key
    assert np.isfinite(losses).all()
    assert not any(module.training for module in network.modules())


def test_the_last_features_are_those_that_come_first_of_all():
    network = Lite0(imagenet_weights())
    pixels = torch.from_numpy(TASKS[0].images.pixels(ARCHITECTURE.input_spec)[:2].astype(np.float32))
    assert torch.equal(network.last(pixels), network(pixels)[:, : ARCHITECTURE.blocks[0]])


@pytest.mark.slow
def test_training_lowers_the_loss_on_what_is_easy(tmp_path):
    task = textured(1, patients=12, size=32, signal=2)
    settings = replace(SMALL, steps=12, tasks=2, shots=3, queries=3, learning_rate=0.001)
    network = Lite0(imagenet_weights())
    network.unfreeze(settings.frozen)
    losses = train_encoder(network, [task], settings, folder=tmp_path, device=torch.device("cpu"))
    assert np.mean(losses[-3:]) < 0.8 * np.mean(losses[:3])


def test_the_folder_records_its_training_and_is_an_encoder(whole):
    folder = whole["episodic"]
    record = read_record(folder)
    assert (record.name, record.network) == ("episodic", "lite0")
    assert record.training["settings"]["objective"] == "episodic"
    assert record.training["threads"] == 1
    assert len(record.training["losses"]) == SMALL.steps
    assert [task["patients"] for task in record.training["tasks"]] == [len(set(task.patients)) for task in TASKS]
    (encoder,) = encoders_of(str(folder))
    expected = training_images(TASKS, encoder.input_spec)
    seen = encoder.training_images()
    assert all((seen[rows] == expected[rows]).all() for rows in expected)
    weights = read_arrays(folder / "encoder.safetensors")
    assert not any(name.startswith("_fc") for name in weights)
    assert {array.dtype.name for array in weights.values()} == {"float16", "int64"}
    features = reader_of(EncodedInput(str(folder))).read(TASKS[0].images, np.arange(2))
    assert not torch.allclose(features, reader_of(EncodedInput("lite0")).read(TASKS[0].images, np.arange(2)), atol=1e-4)


def test_evaluate_refuses_what_the_encoder_was_trained_on_and_takes_what_it_was_not(tmp_path, capsys):
    seen = write_ward(tmp_path / "seen", textured(1, patients=6, size=40))
    new = write_ward(tmp_path / "new", textured(2, patients=6, size=40))
    train_encoder_into(tmp_path / "encoder", load_tasks(seen), replace(SMALL, steps=1))
    options = [
        "--encoder",
        tmp_path / "encoder",
        "--learners",
        "logistic",
        "--shots",
        1,
        "--episodes",
        2,
        "--queries",
        2,
    ]
    assert medshot("evaluate", seen, *options) == 2
    assert "was trained on" in capsys.readouterr().err
    assert medshot("evaluate", new, *options) == 0


@pytest.mark.parametrize(
    ("name", "folder", "expected"),
    [(None, "My Encoder 2", "my-encoder-2"), (None, "肺", "encoder"), ("mine", "x", "mine")],
)
def test_it_is_named_by_its_folder_or_by_the_given_name(tmp_path, name, folder, expected):
    train_encoder_into(tmp_path / folder, TASKS, replace(SMALL, steps=1), name=name)
    assert read_record(tmp_path / folder).name == expected


def test_what_cannot_be_trained_leaves_no_folder(tmp_path, monkeypatch):
    folder = tmp_path / "encoder"
    for name in ("Ours", "", "a--b", "ä"):
        with pytest.raises(InputError, match="small letters"):
            train_encoder_into(folder, TASKS, SMALL, name=name)
    with pytest.raises(TooFewPatients, match="add patients"):
        train_encoder_into(folder, TASKS, replace(SMALL, shots=9))
    with pytest.raises(InputError, match="three dimensions"):
        train_encoder_into(folder, [textured(1, depth=12)], SMALL)
    with pytest.raises(InputError, match="device is 'warp'"):
        train_encoder_into(folder, TASKS, SMALL, device="warp")
    monkeypatch.setattr(loop, "WHITE", float("nan"))
    with pytest.raises(MedshotError, match="loss is nan at step 1"):
        train_encoder_into(folder, TASKS, SMALL)
    assert not folder.exists()


def test_a_folder_that_exists_is_left_as_it_is_and_only_what_is_unfinished_resumed(tmp_path, whole):
    with pytest.raises(StorageError, match="exists already"):
        train_encoder_into(whole["supervised"], TASKS, SMALL)
    with pytest.raises(StorageError, match="is a finished encoder"):
        train_encoder_into(whole["supervised"], TASKS, SMALL, resume=True)
    (tmp_path / "notes.txt").write_text("mine")
    with pytest.raises(StorageError, match="no unfinished encoder"):
        train_encoder_into(tmp_path, TASKS, SMALL, resume=True)


def test_a_checkpoint_of_others_or_a_damaged_one_is_refused(tmp_path, monkeypatch):
    folder = tmp_path / "encoder"
    with monkeypatch.context() as patch:
        stop_before(2, patch, kill)
        with pytest.raises(Killed):
            train_encoder_into(folder, TASKS, SMALL)
    regrouped = [replace(task, patients=task.patients // 2) for task in TASKS]
    for tasks, settings in [
        (TASKS, replace(SMALL, seed=1)),
        (TASKS, replace(SMALL, objective="episodic")),
        (TASKS[:1], SMALL),
        (regrouped, SMALL),
    ]:
        with pytest.raises(StorageError, match="other tasks or settings"):
            train_encoder_into(folder, tasks, settings, resume=True)
    path = folder / CHECKPOINT
    arrays, metadata, content = read_arrays(path), read_metadata(path), path.read_bytes()
    path.write_bytes(content[: len(content) // 2])
    with pytest.raises(StorageError, match="safetensors"):
        train_encoder_into(folder, TASKS, SMALL, resume=True)
    (name,) = [name for name in arrays if name.endswith("_conv_head.weight")]
    for broken in ({key: value for key, value in arrays.items() if key != name}, arrays | {name: np.zeros(3)}):
        write_arrays(path, broken, metadata)
        with pytest.raises(StorageError, match="not a checkpoint of this version"):
            train_encoder_into(folder, TASKS, SMALL, resume=True)


@given(seed=some.integers(0, 10**6), shots=some.integers(1, 3), ways=some.integers(2, 4), number=some.integers(1, 5))
def test_episodes_never_have_a_patient_on_both_sides(seed, shots, ways, number):
    rng = np.random.default_rng(seed)
    patients = rng.integers(0, 40, 120)
    tasks = [labelled(np.repeat(np.arange(classes), 120 // classes), patients, str(classes)) for classes in (2, 3, 4)]
    settings = replace(SMALL, tasks=number, shots=shots, queries=2, ways=ways)
    episodes = draw_episodes(tasks, settings, rng)
    assert len(episodes) == number
    for episode in episodes:
        support, query = (set(episode.task.patients[side]) for side in (episode.support, episode.query))
        assert not support & query
        assert query
        assert episode.ways == min(ways, len(episode.task.classes))
        assert np.bincount(episode.support_labels).tolist() == [shots] * episode.ways


def test_data_sets_are_drawn_alike_often_however_many_tasks_they_have():
    tasks = [
        replace(labelled(np.repeat([0, 1], 6), range(12), f"{source} {number}"), source=source)
        for source, tasks in (("one", 1), ("many", 9))
        for number in range(tasks)
    ]
    episodes = draw_episodes(tasks, replace(SMALL, tasks=2000), np.random.default_rng(0))
    drawn = [episode.task.source for episode in episodes]
    assert abs(drawn.count("one") - 1000) < 5 * 500**0.5


def test_views_are_of_the_same_images_and_differ():
    episodes = draw_episodes(TASKS, SMALL, np.random.default_rng(0))
    pictures = draw_pictures(episodes, 32, 2, 5)
    images = sum(len(episode.support) + len(episode.query) for episode in episodes)
    assert pictures.shape == (2, images, 3, 32, 32)
    assert pictures.min() >= 0
    assert pictures.max() <= 1
    assert torch.equal(pictures, draw_pictures(episodes, 32, 2, 5))
    assert not torch.equal(pictures[0], pictures[1])
    assert not torch.equal(pictures, draw_pictures(episodes, 32, 2, 6))


@given(some.integers(1, 2000))
def test_the_learning_rate_rises_over_a_twentieth_and_then_falls(steps):
    shares = [EncoderSettings(steps=steps).share_of_rate(step) for step in range(steps)]
    rising = max(1, steps // 20)
    assert all(0 < share <= 1 for share in shares)
    assert shares[:rising] == sorted(shares[:rising])
    assert shares[rising - 1] == 1
    assert shares[rising:] == sorted(shares[rising:], reverse=True)


@pytest.mark.parametrize(
    "wrong",
    [
        {"objective": "guessing"},
        {"parameters": "none"},
        {"steps": 0},
        {"size": 31},
        {"ways": 1},
        {"frozen": -1},
        {"checkpoint_every": 0},
        {"learning_rate": 0.0},
        {"head_rate": float("nan")},
        {"weight_decay": -1.0},
        {"kept": 1.0},
    ],
)
def test_settings_out_of_range_are_refused_by_name(wrong):
    (name,) = wrong
    with pytest.raises(InputError, match=f"{name} is .*but must be"):
        EncoderSettings(**wrong)


def test_importing_it_warns_of_nothing_and_brings_no_torchvision_and_nothing_else_imports_lightning():
    code = (
        "import sys, medshot.cli.demonstration, medshot.training; print('lightning_fabric' in sys.modules)\n"
        "import medshot.training.pretraining; print('lightning_fabric' in sys.modules, 'torchvision' in sys.modules)"
    )
    ran = subprocess.run([sys.executable, "-W", "error", "-c", code], check=True, capture_output=True, text=True)
    assert (ran.stdout.split(), ran.stderr) == (["False", "True", "False"], "")


def test_what_is_written_lies_between_the_weights_before_training_and_after(tmp_path, whole):
    train_encoder_into(tmp_path / "trained", TASKS, replace(SMALL, kept=0.0))
    before = imagenet_weights()
    after = read_arrays(tmp_path / "trained" / WEIGHTS)
    written = read_arrays(whole["supervised"] / WEIGHTS)
    assert SMALL.kept == 0.5
    for name, value in written.items():
        middle = after[name] if value.ndim == 0 else (before[name].numpy() + after[name].astype(np.float32)) / 2
        np.testing.assert_allclose(value, middle, rtol=2e-3, atol=1e-6)


def test_weights_too_large_for_float16_are_refused():
    large = {"weight": torch.tensor([7e4])}
    with pytest.raises(MedshotError, match=r"^Weights 'weight' grew too large for float16; lower the learning rate\.$"):
        averaged({"weight": torch.zeros(1)}, large, 0.0)


def test_beside_the_programs_of_a_cluster_training_raises_no_warning(tmp_path, monkeypatch):
    """Fabric warns if `srun` is on the path but did not start the process; warnings are errors here."""
    program = tmp_path / "srun"
    program.write_text("#!/bin/sh\n")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=os.pathsep)
    assert shutil.which("srun") == str(program)
    _fabric(torch.device("cpu"))
