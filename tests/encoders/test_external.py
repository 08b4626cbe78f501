"""Encoders of other libraries give the features of the library itself, if it is installed; weights are random."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import save_file
from torch import nn

from medshot.encoders import ENCODERS, EncodedInput, encoders_of, reader_of
from medshot.encoders.encoder import load_encoder
from medshot.encoders.external import ExternalModel, Normalised, encoder_of
from medshot.encoders.libraries import ADAPTERS, external_encoder
from medshot.errors import InputError
from medshot.imaging import ArrayImages
from medshot.learners import create, load_learner

CPU = torch.device("cpu")
MEAN, DEVIATION = [0.5, 0.4, 0.3], [0.2, 0.3, 0.4]
SIZE = 32


def library(name: str):
    try:
        return pytest.importorskip(name)
    except Exception as error:
        pytest.skip(f"{name} cannot be imported here ({error})")


def pixels(count: int = 3) -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (count, 3, SIZE, SIZE)).astype(np.float32)


def normalised(count: int = 3) -> torch.Tensor:
    mean, deviation = (torch.tensor(values).reshape(3, 1, 1) for values in (MEAN, DEVIATION))
    return (torch.from_numpy(pixels(count)) / 255 - mean) / deviation


def held_to(name: str, expected: torch.Tensor, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd) -> None:
    """Assert that the named encoder gives these features of `pixels`, by ONNX Runtime, alone and joined to another."""
    monkeypatch.setenv("MEDSHOT_CACHE", str(tmp_path / "cache"))
    (encoder,) = encoders_of(name)
    assert encoder.input_spec.size == SIZE
    assert encoder.blocks == (expected.shape[1],)
    capfd.readouterr()
    found = load_encoder.__wrapped__(encoder, CPU)(pixels())
    np.testing.assert_allclose(found, expected.detach().numpy(), rtol=1e-3, atol=1e-4 * float(expected.abs().max()))
    assert "in torch" not in capfd.readouterr().err
    assert EncodedInput(f"lite0+{name}").blocks == ENCODERS["lite0"].blocks + encoder.blocks
    assert external_encoder.__wrapped__(*name.split(":")).sha256 == encoder.sha256
    create("logistic", input_spec=EncodedInput(name)).save(tmp_path / "run")
    assert load_learner(tmp_path / "run").input_spec.sha256 == encoder.sha256


@pytest.mark.filterwarnings("ignore")
def test_timm_gives_its_features_before_the_classifier(tmp_path, monkeypatch, capfd):
    timm = library("timm")
    network = timm.create_model("resnet18", num_classes=5).eval()
    save_file(network.state_dict(), tmp_path / "model.safetensors")
    configuration = {
        "mean": MEAN,
        "std": DEVIATION,
        "input_size": [3, SIZE, SIZE],
        "num_classes": 5,
        "classifier": "fc",
    }
    (tmp_path / "config.json").write_text(json.dumps({"architecture": "resnet18", "pretrained_cfg": configuration}))
    expected = network.forward_head(network.forward_features(normalised()), pre_logits=True)
    held_to(f"timm:{tmp_path}", expected, tmp_path, monkeypatch, capfd)


@pytest.mark.filterwarnings("ignore")
def test_timm_weights_that_are_incomplete_or_elsewhere_are_refused(tmp_path, monkeypatch):
    timm = library("timm")
    weights = timm.create_model("resnet18", num_classes=5).state_dict()
    weights.pop("layer4.1.bn2.weight")
    save_file(weights, tmp_path / "model.safetensors")
    (tmp_path / "config.json").write_text(json.dumps({"architecture": "resnet18", "num_classes": 5}))
    with pytest.raises(InputError, match=r"layer4\.1\.bn2\.weight"):
        encoders_of(f"timm:{tmp_path}")
    with pytest.raises(InputError, match=r"medshot downloads nothing.*hf download timm/resnet34"):
        encoders_of("timm:resnet34")
    with pytest.raises(InputError, match="timm has no network 'resnet9000'"):
        encoders_of("timm:resnet9000")


def write_preparation(folder: Path) -> None:
    prepared = {"image_mean": MEAN, "image_std": DEVIATION, "size": {"height": SIZE, "width": SIZE}}
    (folder / "preprocessor_config.json").write_text(json.dumps(prepared))


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("pooler", [True, False])
def test_a_vision_transformer_gives_its_pooler_or_its_first_token(tmp_path, monkeypatch, capfd, pooler):
    transformers = library("transformers")
    small = {"hidden_size": 24, "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 32}
    configuration = transformers.ViTConfig(image_size=SIZE, patch_size=16, **small)
    network = transformers.ViTModel(configuration, add_pooling_layer=pooler).eval()
    network.save_pretrained(tmp_path)
    write_preparation(tmp_path)
    given = network(normalised())
    expected = given.pooler_output if pooler else given.last_hidden_state[:, 0]
    held_to(f"hf:{tmp_path}", expected, tmp_path, monkeypatch, capfd)


@pytest.mark.filterwarnings("ignore")
def test_a_network_of_pictures_and_text_gives_what_is_compared_with_text(tmp_path, monkeypatch, capfd):
    transformers = library("transformers")
    small = {"hidden_size": 24, "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 32}
    configuration = transformers.CLIPConfig(
        vision_config=small | {"image_size": SIZE, "patch_size": 16},
        text_config=small | {"vocab_size": 50},
        projection_dim=12,
    )
    network = transformers.CLIPModel(configuration).eval()
    network.save_pretrained(tmp_path)
    write_preparation(tmp_path)
    expected = network.visual_projection(network.vision_model(normalised()).pooler_output)
    held_to(f"hf:{tmp_path}", expected, tmp_path, monkeypatch, capfd)


@pytest.mark.filterwarnings("ignore")
def test_transformers_weights_that_are_pickled_incomplete_or_elsewhere_are_refused(tmp_path):
    transformers = library("transformers")
    small = {"hidden_size": 24, "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 32}
    network = transformers.ViTModel(transformers.ViTConfig(image_size=SIZE, patch_size=16, **small))
    network.save_pretrained(tmp_path)
    write_preparation(tmp_path)
    weights = {name: value for name, value in network.state_dict().items() if name != "layernorm.weight"}
    save_file(weights, tmp_path / "model.safetensors", metadata={"format": "pt"})
    with pytest.raises(InputError, match=r"lack layernorm\.weight"):
        encoders_of(f"hf:{tmp_path}")
    (tmp_path / "model.safetensors").rename(tmp_path / "pytorch_model.bin")
    with pytest.raises(InputError, match="which transformers cannot load"):
        encoders_of(f"hf:./{tmp_path}/../{tmp_path.name}")
    with pytest.raises(InputError, match=r"medshot downloads nothing.*hf download nobody/nothing"):
        encoders_of("hf:nobody/nothing")


@pytest.mark.filterwarnings("ignore")
def test_open_clip_gives_the_features_of_pictures(tmp_path, monkeypatch, capfd):
    open_clip = library("open_clip")
    vision = {"image_size": SIZE, "layers": 2, "width": 64, "patch_size": 16}
    text = {"context_length": 8, "vocab_size": 50, "width": 16, "heads": 2, "layers": 1}
    network = open_clip.CLIP(embed_dim=12, vision_cfg=vision, text_cfg=text).eval()
    save_file(network.state_dict(), tmp_path / "open_clip_model.safetensors")
    configuration = {
        "model_cfg": {"embed_dim": 12, "vision_cfg": vision, "text_cfg": text},
        "preprocess_cfg": {"mean": MEAN, "std": DEVIATION},
    }
    (tmp_path / "open_clip_config.json").write_text(json.dumps(configuration))
    held_to(f"open-clip:{tmp_path}", network.encode_image(normalised()), tmp_path, monkeypatch, capfd)


@pytest.mark.parametrize("prefix", ADAPTERS)
def test_a_library_that_is_missing_or_broken_is_named_with_what_to_do(prefix, monkeypatch):
    package, load = ADAPTERS[prefix]
    monkeypatch.setitem(ADAPTERS, prefix, (f"no_{package}", load))
    with pytest.raises(InputError, match=rf"needs no_{package}; pip install \"medshot\[{prefix}\]\""):
        EncodedInput(f"{prefix}:missing-{prefix}")


class Channels(nn.Module):
    """A network that returns the channel means times a weight."""

    def __init__(self, weight: float = 1.0) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.tensor(weight))

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        return images.mean((2, 3)) * self.weight


class FixedBatch(Channels):
    """A network that cannot be traced with one image: its graph would keep that number of images."""

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        return super().forward(images) + float(images[0, 0, 0, 0])


def test_the_hash_is_of_weights_and_configuration():
    encoders = [
        encoder_of(ExternalModel(Channels(weight), size, mean, DEVIATION, {}))
        for weight, size, mean in ((1.0, 16, MEAN), (2.0, 16, MEAN), (1.0, 32, MEAN), (1.0, 16, DEVIATION))
    ]
    encoders.append(encoder_of(ExternalModel(Channels(), 16, MEAN, DEVIATION, {"heads": 2})))
    assert len({encoder.sha256 for encoder in encoders}) == 5
    assert encoders[0].sha256 == encoder_of(ExternalModel(Channels(), 16, MEAN, DEVIATION, {})).sha256


def test_the_library_s_normalisation_is_applied_and_nothing_is_trained():
    network = Normalised(ExternalModel(Channels(), SIZE, MEAN, DEVIATION, {}))
    torch.testing.assert_close(network(torch.from_numpy(pixels())), normalised().mean((2, 3)))
    assert not any(parameter.requires_grad for parameter in network.parameters())


@pytest.mark.parametrize("shape", [(2, 3, 4), (2,)])
def test_what_gives_no_vector_is_refused(shape):
    class Wrong(nn.Module):
        def forward(self, images: torch.Tensor) -> torch.Tensor:
            return torch.zeros(shape)

    with pytest.raises(InputError, match="one finite vector each"):
        encoder_of(ExternalModel(Wrong(), 16, MEAN, DEVIATION, {}))


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("failing", [True, False])
def test_networks_that_onnx_cannot_hold_run_in_torch_with_a_note(tmp_path, monkeypatch, capfd, failing):
    monkeypatch.setenv("MEDSHOT_CACHE", str(tmp_path))
    encoder = encoder_of(ExternalModel(FixedBatch(), SIZE, MEAN, DEVIATION, {}))
    if failing:
        monkeypatch.setattr(torch.onnx, "export", lambda *_, **__: 1 / 0)
    encode = load_encoder.__wrapped__(encoder, CPU)
    together = encode(pixels())
    np.testing.assert_array_equal(together, np.concatenate([encode(image[None]) for image in pixels()]))
    network = encoder.build()
    expected = np.concatenate([network(torch.from_numpy(image[None])).numpy() for image in pixels()])
    np.testing.assert_allclose(together, expected, rtol=1e-5)
    lines = capfd.readouterr().err.splitlines()
    assert len(lines) == 1
    assert "runs in torch" in lines[0]
    assert not list(tmp_path.iterdir())


def test_an_external_encoder_is_used_like_any_other(tmp_path, monkeypatch):
    monkeypatch.setenv("MEDSHOT_CACHE", str(tmp_path))
    monkeypatch.setitem(ENCODERS, "channels", encoder_of(ExternalModel(Channels(), SIZE, MEAN, DEVIATION, {})))
    images = ArrayImages(np.random.default_rng(0).integers(0, 256, (4, SIZE, SIZE, 3), dtype=np.uint8))
    features = reader_of(EncodedInput("channels")).read(images, np.arange(4))
    torch.testing.assert_close(features.norm(dim=1), torch.full((4,), 4.0))


def test_the_hash_is_that_of_earlier_versions():
    """Models and stored features of earlier versions are found by this hash."""
    model = ExternalModel(Channels(), 24, [0.1, 0.2, 0.3], [0.5, 0.5, 0.5], {"heads": 2})
    assert encoder_of(model).sha256 == "0538a2dd575bee6e826a345cc2da6d887e4f1e79504b962879c78186da5d60b8"
