"""Encoders of other libraries, from weights that are on this machine already; nothing is downloaded."""

from collections.abc import Callable, Mapping
from functools import cache
from importlib import import_module
from pathlib import Path
from typing import Any

import torch
from jaxtyping import Float
from safetensors.torch import load_file
from torch import Tensor, nn

from medshot.encoders.encoder import Encoder
from medshot.encoders.external import ExternalModel, encoder_of, locate, offline
from medshot.errors import InputError, MedshotError
from medshot.storage import read_json


class Pooled(nn.Module):
    """A network of transformers that returns one vector for each image.

    Args:
        network: as `AutoModel` makes it.
        pooler: whether its pooler was trained; if not, the first token of the last layer is returned.
    """

    network: Any

    def __init__(self, network: nn.Module, pooler: bool) -> None:
        super().__init__()
        self.network = network
        self.pooler = pooler
        self.joint = hasattr(network, "get_image_features")

    def forward(self, pixels: Float[Tensor, "images 3 size size"]) -> Float[Tensor, "images features"]:
        """Return the pooled features; a network of pictures and text returns those that it compares with text."""
        given = self.network.get_image_features(pixels) if self.joint else self.network(pixel_values=pixels)
        if isinstance(given, Tensor):
            return given
        pooled = getattr(given, "pooler_output", None) if self.pooler else None
        if pooled is not None:
            return pooled.flatten(1)
        last = given.last_hidden_state
        return last[:, 0] if last.ndim == 3 else last.mean((2, 3))


def load_hugging_face(name: str) -> ExternalModel:
    """Load a network of transformers; code that comes with the weights is never run.

    Args:
        name: of a repository in the cache of Hugging Face, such as "facebook/dinov2-small", or a folder with
            `config.json`, `preprocessor_config.json` and safetensors weights.

    Raises:
        InputError: it is not on this machine, its weights are incomplete, or its normalisation of pixels is missing.
    """
    from transformers import AutoModel

    configuration = read_json(locate(name, "config.json"))
    prepared = read_json(locate(name, "preprocessor_config.json"))
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
            f"The weights of '{name}' lack {', '.join(sorted(missing - untrained)[:3])}, which would be random; give "
            "complete weights."
        )
    parameters = network.state_dict()
    for key in untrained:  # unused and random, but part of the hash of the encoder
        parameters[key].zero_()
    if not {"image_mean", "image_std"} <= set(prepared):
        raise InputError(f"preprocessor_config.json of '{name}' has no image_mean and image_std; add them.")
    size = _side(getattr(network.config, "vision_config", network.config), prepared)
    pooled = Pooled(network, not untrained)
    return ExternalModel(pooled, size, prepared["image_mean"], prepared["image_std"], configuration)


def _side(configuration: Any, prepared: Mapping[str, Any]) -> int:
    """Return pixels per side: of the crop, the scaled image, or the configuration; 224 if all are missing."""
    candidates = [prepared.get("crop_size"), prepared.get("size"), getattr(configuration, "image_size", None)]
    for sides in candidates:
        values = list(sides.values()) if isinstance(sides, dict) else [sides]
        if values and isinstance(values[0], int):
            return values[0]
    return 224


_CONFIGURATION = "open_clip_config.json"
_OPEN_CLIP_WEIGHTS = "open_clip_model.safetensors"
_HUB = "hf-hub:"
_PICTURES = "visual."
_MEAN, _DEVIATION = (0.48145466, 0.4578275, 0.40821073), (0.26862954, 0.26130258, 0.27577711)  # of CLIP


def load_open_clip(name: str) -> ExternalModel:
    """Load the picture half with its projection; it returns the features that are compared with text.

    The text half is not built, since it may need further networks.

    Args:
        name: of a repository in the cache of Hugging Face, with or without "hf-hub:" before it, or a folder with
            `open_clip_config.json` and `open_clip_model.safetensors`.

    Raises:
        InputError: it is not on this machine, or its weights are not of the network that it describes.
    """
    from open_clip.model import _build_vision_tower

    name = name.removeprefix(_HUB)
    description = read_json(locate(name, _CONFIGURATION))
    weights = load_file(locate(name, _OPEN_CLIP_WEIGHTS))
    model, prepared = description["model_cfg"], description.get("preprocess_cfg", {})
    vision = model["vision_cfg"] | (
        {"timm_model_pretrained": False} if "timm_model_name" in model["vision_cfg"] else {}
    )
    with offline(), torch.random.fork_rng(devices=[]):
        network = _build_vision_tower(model["embed_dim"], vision, model.get("quick_gelu", False))
    of_pictures = {key.removeprefix(_PICTURES): each for key, each in weights.items() if key.startswith(_PICTURES)}
    try:
        network.load_state_dict(of_pictures)
    except RuntimeError as error:
        raise InputError(f"The weights of '{name}' are not those of the network in its {_CONFIGURATION}.") from error
    size = vision.get("image_size", 224)
    size = size if isinstance(size, int) else size[0]
    configuration = {key: value for key, value in model.items() if key != "text_cfg"}
    return ExternalModel(network, size, prepared.get("mean", _MEAN), prepared.get("std", _DEVIATION), configuration)


_TIMM_WEIGHTS = "model.safetensors"
_OVERLAID = ("mean", "std", "input_size", "num_classes", "classifier", "first_conv")


def load_timm(name: str) -> ExternalModel:
    """Load a network of timm without its classifier.

    Args:
        name: such as "resnet18.a1_in1k", if its weights are in the cache of Hugging Face, or a folder with
            `config.json` and `model.safetensors` as `timm.models.save_for_hf` writes it.

    Raises:
        InputError: timm has no such network, or its weights are not on this machine.
    """
    import timm
    from safetensors import safe_open

    description = read_json(locate(name, "config.json")) if Path(name).is_dir() else {}
    architecture = description.get("architecture", name)
    if not timm.is_model(architecture):
        raise InputError(f"timm has no network '{architecture}'; timm.list_models(pretrained=True) lists them.")
    registered = timm.get_pretrained_cfg(architecture)
    hub = None if registered is None else registered.hf_hub_id
    weights = locate(name if description else hub or architecture, _TIMM_WEIGHTS)
    configuration = description.get("pretrained_cfg", description)
    overlay = {key: configuration[key] for key in _OVERLAID if key in configuration}
    with offline(), torch.random.fork_rng(devices=[]):
        network = timm.create_model(
            architecture,
            pretrained=True,
            num_classes=0,
            pretrained_cfg_overlay=overlay | {"file": str(weights), "custom_load": False},
        )
    with safe_open(weights, framework="pt") as file:
        missing = set(network.state_dict()) - set(file.keys()) if description else set()
    if missing:
        raise InputError(f"{weights} lacks {', '.join(sorted(missing)[:3])} of '{architecture}'; save it with timm.")
    data = timm.data.resolve_model_data_config(network)
    return ExternalModel(network, data["input_size"][-1], data["mean"], data["std"], {"timm": architecture} | overlay)


ADAPTERS: dict[str, tuple[str, Callable[[str], ExternalModel]]] = {
    "timm": ("timm", load_timm),
    "hf": ("transformers", load_hugging_face),
    "open-clip": ("open_clip", load_open_clip),
}
"""For each prefix, which is also the name of medshot's extra: the package, and the function that loads a network."""


@cache
def external_encoder(prefix: str, name: str) -> Encoder:
    """Return an encoder of another library.

    Args:
        prefix: a key of `ADAPTERS`.
        name: of the network in that library, or the folder that holds its configuration and weights.

    Raises:
        InputError: the library is not installed or lacks the network, or the weights are not on this machine.
    """
    package, load = ADAPTERS[prefix]
    try:
        import_module(package)
    except ModuleNotFoundError as error:
        raise InputError(
            f"encoder is '{prefix}:{name}', which needs {error.name}; pip install \"medshot[{prefix}]\"."
        ) from error
    except Exception as error:  # for example torchvision with another build of torch
        raise InputError(
            f"encoder is '{prefix}:{name}', but {package} cannot be imported ({error}); install it so that "
            f"python -c 'import {package}' works."
        ) from error
    try:
        return encoder_of(load(name))
    except MedshotError:
        raise
    except Exception as error:  # each library raises types of its own
        raise InputError(
            f"encoder is '{prefix}:{name}', which {package} cannot load ({' '.join(str(error).split())}); check the "
            "name, and that its weights are safetensors."
        ) from error
