"""Encoders as data, and running them: with ONNX Runtime on the CPU, with torch on a GPU."""

import sys
import tempfile
import warnings
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cache
from hashlib import sha256
from pathlib import Path
from threading import Lock

import numpy as np
import onnxruntime
import torch
from jaxtyping import Float, UInt8
from torch import Tensor, nn

from medshot.append_store import writing_into_cache
from medshot.imaging import ImageInput, cache_folder
from medshot.storage import write_bytes

Encode = Callable[[Float[np.ndarray, "images channels size size"]], Float[np.ndarray, "images features"]]
Weights = Mapping[str, Tensor]
TrainingImages = dict[str, UInt8[np.ndarray, "_ bytes"]]
"""The content `hashes` and perceptual `fingerprints` of images that something was trained on."""


@dataclass(frozen=True)
class Encoder:
    """A frozen network that was trained elsewhere; its hash identifies it.

    Args:
        input_spec: the pixels that it takes, as numbers from 0 to 255.
        blocks: number of features from each of its depths, in the order of the output.
        sha256: changes whenever the features of an image may change.
        build: makes the network, `(images, channels, size, size)` to `(images, features)`, in evaluation mode.
        training_images: reads hashes and fingerprints of the images that it was trained on, the latter of the pixels
            that it takes; None if it was trained on no medical images.
    """

    input_spec: ImageInput
    blocks: tuple[int, ...]
    sha256: str
    build: Callable[[], nn.Module] = field(compare=False)
    training_images: Callable[[], TrainingImages] | None = field(default=None, compare=False)


@dataclass(frozen=True)
class Architecture:
    """A network without its weights.

    Args:
        input_spec: the pixels that it takes, as numbers from 0 to 255.
        blocks: number of features from each of its depths, in the order of the output.
        version: describes what is computed; changes whenever features of equal weights may change.
        build: makes the network from weights, in evaluation mode.
    """

    input_spec: ImageInput
    blocks: tuple[int, ...]
    version: str
    build: Callable[[Weights], nn.Module]

    def encoder(
        self,
        weights_sha256: str,
        weights: Callable[[], Weights],
        training_images: Callable[[], TrainingImages] | None = None,
    ) -> Encoder:
        """Return the encoder with these weights, which are read when it is built.

        Args:
            weights_sha256: of the file that holds them.
            weights: reads them; StorageError if they do not have that hash.
            training_images: as in `Encoder`.
        """
        return Encoder(
            input_spec=self.input_spec,
            blocks=self.blocks,
            sha256=sha256(f"{weights_sha256} {self.version}".encode()).hexdigest(),
            build=lambda: self.build(weights()),
            training_images=training_images,
        )


@cache
def load_encoder(encoder: Encoder, device: torch.device) -> Encode:
    """Return the encoder as a function of float32 arrays; several threads may call it, each computes in its own.

    On the CPU, ONNX Runtime computes, several times faster than torch. It runs a graph that is exported once and
    kept in the cache folder. If the export fails or computes something else, torch runs the network, and a line on
    stderr reports that. Equal images get bit-identical features, independent of the other images of a batch.

    Raises:
        StorageError: the cache folder cannot be written to, or the installed weights are not the encoder's.
    """
    return _in_onnx_runtime(encoder) if device.type == "cpu" else _in_torch(encoder, device)


def _in_torch(encoder: Encoder, device: torch.device) -> Encode:
    network = encoder.build().to(device)
    one_at_a_time = Lock()  # the flags of cuDNN are global

    @torch.inference_mode()
    def encode(pixels: Float[np.ndarray, "images channels size size"]) -> Float[np.ndarray, "images features"]:
        with one_at_a_time, torch.backends.cudnn.flags(enabled=True, allow_tf32=False):
            return network(torch.from_numpy(pixels).to(device)).cpu().numpy()

    return encode


def _in_onnx_runtime(encoder: Encoder) -> Encode:
    graph = cache_folder() / f"encoder-{encoder.sha256[:16]}.onnx"
    session = _cached(graph)
    if session is None:
        network = encoder.build()
        try:
            content = _exported(network, encoder.input_spec)
            session = _session(content)
            _compare(session, network, encoder.input_spec)
        except Exception as error:  # the exporter raises many types
            print(
                f"The encoder runs in torch, which is slow: ONNX cannot represent it ({_line(error)}).", file=sys.stderr
            )
            return _one_by_one(_in_torch(encoder, torch.device("cpu")))
        with writing_into_cache(graph.parent):
            write_bytes(graph, content)
            write_bytes(_hash_file(graph), sha256(content).hexdigest().encode())

    def encode(pixels: Float[np.ndarray, "images channels size size"]) -> Float[np.ndarray, "images features"]:
        return session.run(None, {"pixels": pixels})[0]

    return encode


def _cached(graph: Path) -> onnxruntime.InferenceSession | None:
    """Return a session of the graph in the cache; None if there is none, or its bytes are not those written."""
    try:
        content = graph.read_bytes()
        whole = sha256(content).hexdigest().encode() == _hash_file(graph).read_bytes()
        return _session(content) if whole else None
    except Exception:  # the files are missing, or this ONNX Runtime cannot run them: it raises many types
        return None


def _hash_file(graph: Path) -> Path:
    return graph.with_name(f"{graph.name}.sha256")


def _one_by_one(encode: Encode) -> Encode:
    """Return a function that encodes each image alone: in torch, the batch changes the last bits."""
    return lambda pixels: np.concatenate([encode(image[None]) for image in pixels])


def _compare(session: onnxruntime.InferenceSession, network: nn.Module, spec: ImageInput) -> None:
    """Raise ValueError unless the graph computes what the network does, for other images than those of the trace."""
    pixels = np.random.default_rng(0).integers(0, 256, (2, *spec.dimensions)).astype(np.float32)
    with torch.inference_mode():
        expected = network(torch.from_numpy(pixels)).numpy()
    difference = np.abs(session.run(None, {"pixels": pixels})[0] - expected).max() / np.abs(expected).max()
    if not difference < 1e-3:
        raise ValueError(f"its features differ by {difference:.1g}")


def _line(error: Exception) -> str:
    return str(error).strip().partition("\n")[0] or type(error).__name__


def _session(graph: bytes) -> onnxruntime.InferenceSession:
    """Return a session without a thread pool: calling threads cost half the CPU time of ONNX Runtime's own."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    options.log_severity_level = 4
    return onnxruntime.InferenceSession(graph, options, providers=["CPUExecutionProvider"])


def _exported(network: nn.Module, spec: ImageInput) -> bytes:
    pixels, axes = torch.zeros(1, *spec.dimensions), {0: "images"}
    with tempfile.TemporaryDirectory() as folder, warnings.catch_warnings():
        warnings.filterwarnings("ignore", "You are using the legacy TorchScript|The feature will be removed")
        warnings.filterwarnings("ignore", "Constant folding")  # ONNX Runtime folds the rest
        warnings.filterwarnings("ignore", "Converting a tensor")  # by shape checks, if they are on
        torch.onnx.export(
            network,
            (pixels,),
            Path(folder) / "encoder.onnx",
            input_names=["pixels"],
            output_names=["features"],
            dynamic_axes={"pixels": axes, "features": axes},
            opset_version=17,
            dynamo=False,
        )
        return (Path(folder) / "encoder.onnx").read_bytes()
