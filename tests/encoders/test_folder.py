"""Encoders in folders: the same network with other weights, and what it was trained on."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch

from medshot.encoders import ENCODERS, EncodedBagInput, EncodedInput, encoders_of, write_encoder
from medshot.encoders.folder import packaged
from medshot.encoders.lite0 import LITE0, imagenet_weights
from medshot.errors import InputError, StorageError
from medshot.imaging import ImageInput
from medshot.learners import create, load_learner
from medshot.simulated import simulate
from medshot.storage import write_arrays
from medshot.tasks import training_images

PIXELS = ImageInput(channels=3, size=224)
SEEN = simulate("chest", seed=1, patients=3, size=96)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Write an encoder with ImageNet weights in half precision, recorded as trained on the images of `SEEN`."""
    folder = tmp_path_factory.mktemp("encoders") / "ours"
    folder.mkdir()
    weights = {name: value.half() for name, value in imagenet_weights().items() if not name.startswith("_fc.")}
    write_encoder(folder, "ours", "lite0", weights, training_images([SEEN], PIXELS), {"steps": 3})
    return folder


@pytest.fixture
def moved(folder: Path, tmp_path: Path) -> Path:
    """Return a copy that a test may change."""
    copy = tmp_path / "moved"
    copy.mkdir()
    for path in folder.iterdir():
        (copy / path.name).write_bytes(path.read_bytes())
    return copy


def test_a_folder_is_the_network_with_its_weights_in_single_precision(folder: Path) -> None:
    (encoder,) = encoders_of(str(folder))
    network = encoder.build()
    kept, before = network.network.state_dict(), imagenet_weights()
    assert all(torch.equal(kept[name], before[name].half().to(kept[name].dtype)) for name in kept)
    assert {value.dtype for value in network.parameters()} == {torch.float32}
    assert encoder.blocks == LITE0.blocks
    assert encoder.sha256 != LITE0.sha256


def test_a_network_stays_in_evaluation_mode_and_its_gradients_are_finite(folder: Path) -> None:
    network = encoders_of(str(folder))[0].build().requires_grad_(True).train()
    assert not any(module.training for module in network.modules())
    pixels = SEEN.images.pixels(PIXELS)[:2].astype(np.float32)
    network(torch.from_numpy(pixels)).square().mean().backward()
    gradients = [parameter.grad for parameter in network.parameters()]
    assert all(gradient is not None and gradient.isfinite().all() for gradient in gradients)


@pytest.mark.parametrize("name", ["encoder.safetensors", "training_images.safetensors"])
def test_a_folder_with_a_changed_byte_is_refused(moved: Path, name: str) -> None:
    content = bytearray((moved / name).read_bytes())
    content[-1] ^= 1
    (moved / name).write_bytes(content)
    (encoder,) = encoders_of(str(moved))
    with pytest.raises(StorageError, match=rf"{name} is not the file that was saved"):
        encoder.build() if name.startswith("encoder") else encoder.training_images()


@pytest.mark.parametrize(
    "change",
    [
        {"format": 2},
        {"network": "large"},
        {"name": "Ours"},
        {"more": 1},
        {"arrays": {"encoder.safetensors": "0"}},
        {"training": None},
    ],
)
def test_a_record_that_is_not_one_is_refused(moved: Path, change: dict[str, object]) -> None:
    path = moved / "encoder.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | change))
    with pytest.raises(InputError, match=r"cannot be used: .*encoder\.json") as caught:
        EncodedInput(str(moved))
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("weights", [{"other": torch.zeros(3)}, {}])
def test_weights_of_another_network_are_refused(tmp_path: Path, weights: dict[str, torch.Tensor]) -> None:
    write_encoder(tmp_path, "other", "lite0", weights, training_images([SEEN], PIXELS), {})
    with pytest.raises(StorageError, match="does not hold weights of 'lite0'"):
        encoders_of(str(tmp_path))[0].build()


def test_images_that_are_no_hashes_are_refused(tmp_path: Path) -> None:
    wrong = {"hashes": np.zeros((2, 31), np.uint8), "fingerprints": np.zeros((2, 32), np.uint8)}
    write_encoder(tmp_path, "other", "lite0", {}, wrong, {})
    with pytest.raises(StorageError, match="must hold hashes and fingerprints"):
        encoders_of(str(tmp_path))[0].training_images()


def test_shipped_encoders_have_the_names_of_their_folders(folder: Path) -> None:
    assert {name: encoder.sha256 for name, encoder in packaged(folder.parent).items()} == {
        "ours": encoders_of(str(folder))[0].sha256
    }
    assert "lite0" in ENCODERS


@pytest.mark.parametrize("name", ["lite9", "lite0+lite9", "", "lite0+", "none", "x" * 5000, "a\0b"])
def test_an_unknown_name_is_refused_and_the_available_ones_named(name: str) -> None:
    for shape in (EncodedInput, EncodedBagInput):
        with pytest.raises(InputError, match=r"must be one of lite0.*folder.*joined by \+"):
            shape(name)


def test_an_encoder_named_twice_and_a_folder_without_one_are_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="names one encoder twice"):
        EncodedInput("lite0+lite0")
    for name in (str(tmp_path), str(tmp_path / "none"), "a/\0"):
        with pytest.raises(InputError, match=r"no encoder\.json; check the path"):
            EncodedInput(name)


def test_a_run_finds_its_folder_from_any_working_directory(
    moved: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    create("logistic", input_spec=EncodedInput("moved+lite0")).save("run")
    monkeypatch.chdir("/")
    shape = load_learner(tmp_path / "run").input_spec
    assert shape == EncodedInput(f"{moved}+lite0")
    assert shape.sha256 not in {encoder.sha256 for encoder in encoders_of(shape.encoder)}
    elsewhere = moved.rename(tmp_path / "elsewhere")
    with pytest.raises(StorageError, match=r"moved.*no encoder\.json.*put back, or its new path written as"):
        load_learner(tmp_path / "run")
    record = tmp_path / "run" / "run.json"
    record.write_text(record.read_text().replace(str(moved), str(elsewhere)))
    assert load_learner(tmp_path / "run").input_spec == EncodedInput(f"{elsewhere}+lite0")
    path = elsewhere / "encoder.json"
    changed = json.loads(path.read_text())
    changed["arrays"]["encoder.safetensors"] = "0" * 64
    path.write_text(json.dumps(changed))
    with pytest.raises(StorageError, match="another version of encoder"):
        load_learner(tmp_path / "run")


def test_only_what_the_record_names_is_read(moved: Path) -> None:
    write_arrays(moved / "more.safetensors", {"x": np.zeros(3)})
    assert EncodedInput(str(moved)).sha256 == encoders_of(str(moved))[0].sha256
