"""What an encoder is, and running it: by ONNX Runtime on the CPU, by torch on a GPU."""

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

from medshot.imaging import ImageInput, cache_folder
from medshot.imaging.cache import writing_into
from medshot.storage import write_bytes

Encode = Callable[[Float[np.ndarray, "images channels size size"]], Float[np.ndarray, "images features"]]
Weights = Mapping[str, Tensor]
Images = dict[str, UInt8[np.ndarray, "_ bytes"]]


@dataclass(frozen=True)
class Encoder:
    """A network trained elsewhere and left as it is, known by its hash.

    Args:
        shape: the pixels that it takes, as numbers from 0 to 255.
        blocks: number of features from each of its depths, in the order in which they come.
        sha256: changes whenever the features of an image may change.
        build: makes the network, `(images, channels, size, size)` to `(images, features)`, in evaluation mode.
        seen: reads the content `hashes` and perceptual `fingerprints` of the images that it was trained on, of pixels
            in its shape; None where no medical image was among them.
    """

    shape: ImageInput
    blocks: tuple[int, ...]
    sha256: str
    build: Callable[[], nn.Module] = field(compare=False)
    seen: Callable[[], Images] | None = field(default=None, compare=False)


@dataclass(frozen=True)
class Architecture:
    """A network without its weights: with one set of them or another it becomes one encoder or another.

    Args:
        shape: the pixels that it takes, as numbers from 0 to 255.
        blocks: number of features from each of its depths, in the order in which they come.
        version: says what is computed; changes whenever features of equal weights may change.
        build: makes the network of weights, in evaluation mode.
    """

    shape: ImageInput
    blocks: tuple[int, ...]
    version: str
    build: Callable[[Weights], nn.Module]

    def encoder(
        self, weights_sha256: str, weights: Callable[[], Weights], seen: Callable[[], Images] | None = None
    ) -> Encoder:
        """The encoder of these weights, which are read when it is built.

        Args:
            weights_sha256: of the file that holds them.
            weights: reads them; StorageError where they are not those of that hash.
            seen: as in `Encoder`.
        """
        return Encoder(
            shape=self.shape,
            blocks=self.blocks,
            sha256=sha256(f"{weights_sha256} {self.version}".encode()).hexdigest(),
            build=lambda: self.build(weights()),
            seen=seen,
        )


@cache
def load_encoder(encoder: Encoder, device: torch.device) -> Encode:
    """The encoder as a function of float32 arrays, which threads may call at once; it computes in the caller's thread.

    On the CPU that is ONNX Runtime, several times faster there than torch. It runs a graph that is exported once and
    kept in the cache folder. A network that cannot be exported, or not truly, runs in torch, and a line on stderr says
    so. Equal images give equal features to the bit, whatever stands beside them.

    Raises:
        StorageError: the cache folder cannot be written to, or the installed weights are not the encoder's.
    """
    return _in_onnx_runtime(encoder) if device.type == "cpu" else _in_torch(encoder, device)


def _in_torch(encoder: Encoder, device: torch.device) -> Encode:
    network = encoder.build().to(device)
    alone = Lock()  # the flags of cuDNN are global

    @torch.inference_mode()
    def encode(pixels: Float[np.ndarray, "images channels size size"]) -> Float[np.ndarray, "images features"]:
        with alone, torch.backends.cudnn.flags(enabled=True, allow_tf32=False):
            return network(torch.from_numpy(pixels).to(device)).cpu().numpy()

    return encode


def _in_onnx_runtime(encoder: Encoder) -> Encode:
    graph = cache_folder() / f"encoder-{encoder.sha256[:16]}.onnx"
    session = _cached(graph)
    if session is None:
        network = encoder.build()
        try:
            content = _exported(network, encoder.shape)
            session = _session(content)
            _compare(session, network, encoder.shape)
        except Exception as error:  # the exporter raises many types
            print(
                f"The encoder runs in torch, which is slow: ONNX cannot represent it ({_line(error)}).", file=sys.stderr
            )
            return _one_by_one(_in_torch(encoder, torch.device("cpu")))
        with writing_into(graph.parent):
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
    """The same for each image by itself: in torch, company changes the last bits."""
    return lambda pixels: np.concatenate([encode(image[None]) for image in pixels])


def _compare(session: onnxruntime.InferenceSession, network: nn.Module, shape: ImageInput) -> None:
    """See to it that the graph computes what the network does, for other images than it was traced with, and more."""
    pixels = np.random.default_rng(0).integers(0, 256, (2, *shape.dimensions)).astype(np.float32)
    with torch.inference_mode():
        expected = network(torch.from_numpy(pixels)).numpy()
    difference = np.abs(session.run(None, {"pixels": pixels})[0] - expected).max() / np.abs(expected).max()
    if not difference < 1e-3:
        raise ValueError(f"its features differ by {difference:.1g}")


def _line(error: Exception) -> str:
    return str(error).strip().partition("\n")[0] or type(error).__name__


def _session(graph: bytes) -> onnxruntime.InferenceSession:
    """A session without threads of its own: one per calling thread costs half the CPU time of ONNX Runtime's pool."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    options.log_severity_level = 4
    return onnxruntime.InferenceSession(graph, options, providers=["CPUExecutionProvider"])


def _exported(network: nn.Module, shape: ImageInput) -> bytes:
    pixels, axes = torch.zeros(1, *shape.dimensions), {0: "images"}
    with tempfile.TemporaryDirectory() as folder, warnings.catch_warnings():
        warnings.filterwarnings("ignore", "You are using the legacy TorchScript|The feature will be removed")
        warnings.filterwarnings("ignore", "Constant folding")  # what it leaves ONNX Runtime folds
        warnings.filterwarnings("ignore", "Converting a tensor")  # in shape checks, where they are on
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
