"""The picture half of networks of pictures and text in OpenCLIP (Ilharco et al., 2021), such as BiomedCLIP."""

import torch
from safetensors.torch import load_file

from medshot.errors import InputError
from medshot.networks.encoders.adapters.foreign import Foreign, located, offline
from medshot.storage import read_json

_CONFIGURATION = "open_clip_config.json"
_OPEN_CLIP_WEIGHTS = "open_clip_model.safetensors"
_HUB = "hf-hub:"
_PICTURES = "visual."
_MEAN, _DEVIATION = (0.48145466, 0.4578275, 0.40821073), (0.26862954, 0.26130258, 0.27577711)  # of CLIP


def load_open_clip(name: str) -> Foreign:
    """The picture half with its projection, so that its features are those that are compared with text.

    The text half is not built, since it may need other networks from elsewhere.

    Args:
        name: of a repository in the cache of Hugging Face, with or without "hf-hub:" before it, or a folder with
            `open_clip_config.json` and `open_clip_model.safetensors`.

    Raises:
        InputError: it is not on this machine, or its weights are not of the network that it describes.
    """
    from open_clip.model import _build_vision_tower

    name = name.removeprefix(_HUB)
    told = read_json(located(name, _CONFIGURATION))
    weights = load_file(located(name, _OPEN_CLIP_WEIGHTS))
    model, prepared = told["model_cfg"], told.get("preprocess_cfg", {})
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
    return Foreign(network, size, prepared.get("mean", _MEAN), prepared.get("std", _DEVIATION), configuration)
