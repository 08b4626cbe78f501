"""Networks of timm (PyTorch Image Models, Wightman 2019): hundreds of architectures with weights as safetensors."""

from pathlib import Path

import torch

from medshot.errors import InputError
from medshot.networks.encoders.adapters.foreign import Foreign, located, offline
from medshot.storage import read_json

_TIMM_WEIGHTS = "model.safetensors"
_TOLD = ("mean", "std", "input_size", "num_classes", "classifier", "first_conv")


def load_timm(name: str) -> Foreign:
    """A network of timm without its classifier.

    Args:
        name: such as "resnet18.a1_in1k", whose weights are in the cache of Hugging Face, or a folder with `config.json`
            and `model.safetensors` as `timm.models.save_for_hf` writes it.

    Raises:
        InputError: timm knows no such network, or its weights are not on this machine.
    """
    import timm
    from safetensors import safe_open

    told = read_json(located(name, "config.json")) if Path(name).is_dir() else {}
    architecture = told.get("architecture", name)
    if not timm.is_model(architecture):
        raise InputError(f"timm knows no network '{architecture}'; timm.list_models(pretrained=True) lists them.")
    known = timm.get_pretrained_cfg(architecture)
    hub = None if known is None else known.hf_hub_id
    weights = located(name if told else hub or architecture, _TIMM_WEIGHTS)
    configuration = told.get("pretrained_cfg", told)
    overlay = {key: configuration[key] for key in _TOLD if key in configuration}
    with offline(), torch.random.fork_rng(devices=[]):
        network = timm.create_model(
            architecture,
            pretrained=True,
            num_classes=0,
            pretrained_cfg_overlay=overlay | {"file": str(weights), "custom_load": False},
        )
    with safe_open(weights, framework="pt") as file:
        missing = set(network.state_dict()) - set(file.keys()) if told else set()
    if missing:
        raise InputError(f"{weights} lacks {', '.join(sorted(missing)[:3])} of '{architecture}'; save it with timm.")
    taken = timm.data.resolve_model_data_config(network)
    return Foreign(network, taken["input_size"][-1], taken["mean"], taken["std"], {"timm": architecture} | overlay)
