"""Encoders of other libraries, from weights that are on this machine already: nothing is ever downloaded."""

from collections.abc import Callable
from functools import cache
from importlib import import_module

from medshot.errors import InputError, MedshotError
from medshot.networks.encoders.adapters.foreign import Foreign, encoder_of
from medshot.networks.encoders.adapters.hugging_face import load_hugging_face
from medshot.networks.encoders.adapters.open_clip import load_open_clip
from medshot.networks.encoders.adapters.timm import load_timm
from medshot.networks.encoders.encoder import Encoder

ADAPTERS: dict[str, tuple[str, Callable[[str], Foreign]]] = {
    "timm": ("timm", load_timm),
    "hf": ("transformers", load_hugging_face),
    "open-clip": ("open_clip", load_open_clip),
}
"""For each prefix, which is also the name of medshot's extra: the package imported, and what loads a network."""


@cache
def adapted(prefix: str, name: str) -> Encoder:
    """The encoder of a library.

    Args:
        prefix: a key of `ADAPTERS`.
        name: of the network in that library, or the folder that holds its configuration and weights.

    Raises:
        InputError: the library is not installed or does not know the network, or the weights are not on this machine.
    """
    package, load = ADAPTERS[prefix]
    try:
        import_module(package)
    except ModuleNotFoundError as error:
        raise InputError(
            f"encoder is '{prefix}:{name}', which needs {error.name}; pip install \"medshot[{prefix}]\"."
        ) from error
    except Exception as error:  # torchvision beside another build of torch, for example
        raise InputError(
            f"encoder is '{prefix}:{name}', but {package} cannot be imported ({error}); install it so that "
            f"python -c 'import {package}' works."
        ) from error
    try:
        return encoder_of(load(name))
    except MedshotError:
        raise
    except Exception as error:  # whatever a library says of a network that it cannot make
        raise InputError(
            f"encoder is '{prefix}:{name}', which {package} cannot load ({' '.join(str(error).split())}); check the "
            "name, and that its weights are safetensors."
        ) from error
