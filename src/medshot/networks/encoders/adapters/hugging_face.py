"""Networks of pictures in Hugging Face's transformers (Wolf et al., 2020), such as ViT, DINOv2, ConvNeXt, CLIP."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn

from medshot.errors import InputError
from medshot.networks.encoders.adapters.foreign import Foreign, located, offline
from medshot.storage import read_json


class Pooled(nn.Module):
    """A network of transformers whose output is one vector for each image.

    Args:
        network: as `AutoModel` makes it.
        pooler: whether its pooler was trained; the first token of the last layer is taken where it was not.
    """

    network: Any

    def __init__(self, network: nn.Module, pooler: bool) -> None:
        super().__init__()
        self.network = network
        self.pooler = pooler
        self.joint = hasattr(network, "get_image_features")

    def forward(self, pixels: Float[Tensor, "images 3 size size"]) -> Float[Tensor, "images features"]:
        """The pooled features; of a network of pictures and text, the projected ones that are compared with text."""
        given = self.network.get_image_features(pixels) if self.joint else self.network(pixel_values=pixels)
        if isinstance(given, Tensor):
            return given
        pooled = getattr(given, "pooler_output", None) if self.pooler else None
        if pooled is not None:
            return pooled.flatten(1)
        last = given.last_hidden_state
        return last[:, 0] if last.ndim == 3 else last.mean((2, 3))


def load_hugging_face(name: str) -> Foreign:
    """A network of transformers; code that comes with weights is never run.

    Args:
        name: of a repository in the cache of Hugging Face, such as "facebook/dinov2-small", or a folder with
            `config.json`, `preprocessor_config.json` and safetensors weights.

    Raises:
        InputError: it is not on this machine, its weights are incomplete, or it does not say how pixels are normalised.
    """
    from transformers import AutoModel

    configuration = read_json(located(name, "config.json"))
    prepared = read_json(located(name, "preprocessor_config.json"))
    with offline(), torch.random.fork_rng(devices=[]):
        network, loading = AutoModel.from_pretrained(
            str(Path(name)) if Path(name).is_dir() else name,
            local_files_only=True,
            trust_remote_code=False,
            use_safetensors=True,
            dtype=torch.float32,
            output_loading_info=True,
        )
    missing = set(loading["missing_keys"])
    untrained = {key for key in missing if "pooler." in key}
    if missing - untrained:
        raise InputError(
            f"The weights of '{name}' lack {', '.join(sorted(missing - untrained)[:3])}, which would be random; take "
            "weights that are complete."
        )
    parameters = network.state_dict()
    for key in untrained:  # not used, but part of what the encoder is known by, and random
        parameters[key].zero_()
    if not {"image_mean", "image_std"} <= set(prepared):
        raise InputError(f"preprocessor_config.json of '{name}' has no image_mean and image_std; add them.")
    size = _side(getattr(network.config, "vision_config", network.config), prepared)
    pooled = Pooled(network, not untrained)
    return Foreign(pooled, size, prepared["image_mean"], prepared["image_std"], configuration)


def _side(configuration: Any, prepared: Mapping[str, Any]) -> int:
    """Pixels per side, of what is cropped, scaled to, or configured; 224 where nothing is said."""
    said = [prepared.get("crop_size"), prepared.get("size"), getattr(configuration, "image_size", None)]
    for sides in said:
        values = list(sides.values()) if isinstance(sides, dict) else [sides]
        if values and isinstance(values[0], int):
            return values[0]
    return 224
