"""Encoders run from a graph that is exported once and kept in the cache folder."""

from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from medshot.encoders.encoder import Encode, Encoder, load_encoder
from medshot.imaging import ImageInput

SPEC = ImageInput(channels=3, size=8)


class Weighted(nn.Module):
    """An encoder with weights that are easy to find in the bytes of a graph."""

    def __init__(self) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.tensor([0.123, 0.456, 0.789]))

    def forward(self, pixels: Tensor) -> Tensor:
        return pixels.mean((2, 3)) * self.weight


def encoder() -> Encoder:
    return Encoder(SPEC, (3,), "ab" * 32, lambda: Weighted().eval())


def loaded() -> Encode:
    return load_encoder.__wrapped__(encoder(), torch.device("cpu"))


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("MEDSHOT_CACHE", str(tmp_path))
    return tmp_path


def pixels() -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (2, *SPEC.dimensions)).astype(np.float32)


def damage_weights(graph: Path) -> None:
    content = graph.read_bytes()
    weights = np.array([0.123, 0.456, 0.789], dtype=np.float32).tobytes()
    assert weights in content
    graph.write_bytes(content.replace(weights, np.ones(3, dtype=np.float32).tobytes()))


def test_a_cached_graph_that_changed_on_disk_is_exported_again(folder: Path) -> None:
    expected = loaded()(pixels())
    (graph,) = folder.glob("*.onnx")
    before = graph.read_bytes()
    damage_weights(graph)
    np.testing.assert_array_equal(loaded()(pixels()), expected)
    assert graph.read_bytes() == before


def test_a_cached_graph_without_its_hash_is_exported_again(folder: Path) -> None:
    expected = loaded()(pixels())
    (graph,) = folder.glob("*.onnx")
    damage_weights(graph)
    for other in folder.iterdir():
        if other != graph:
            other.unlink()
    np.testing.assert_array_equal(loaded()(pixels()), expected)


def test_an_undamaged_graph_is_not_exported_again(folder: Path) -> None:
    expected = loaded()(pixels())

    def build() -> nn.Module:
        raise AssertionError("the network was built again")

    again = load_encoder.__wrapped__(Encoder(SPEC, (3,), "ab" * 32, build), torch.device("cpu"))
    np.testing.assert_array_equal(again(pixels()), expected)
