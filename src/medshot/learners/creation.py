"""Make a learner by its name, with the input and the weights that suit it, or read one from a folder.

Python, `FewShotClassifier` and the commands all make learners here, so that a name means the same everywhere.
"""

import copy
from collections.abc import Mapping
from functools import cache
from inspect import Parameter, signature
from pathlib import Path
from typing import Any, TypeVar

import torch
from torch import Tensor

from medshot.encoders import ENCODERS, WHOLE, EncodedBagInput, EncodedInput
from medshot.encoders.encoder import TrainingImages
from medshot.errors import InputError, StorageError, closest
from medshot.imaging import FeatureInput, ImageSource, InputSpec, SeveralImages, Vectors, VolumeInput, usual_cut
from medshot.learners.base import Learner
from medshot.learners.closed_form.depth_ridge import DepthRidge
from medshot.learners.registry import LEARNERS
from medshot.learners.serialization import IMAGES, LEARNER, FolderRecord, read_checked, read_folder
from medshot.storage import read_arrays

CHOICE = "choice"
HOME = Path(__file__).parent / "closed_form"

AnyLearner = TypeVar("AnyLearner", bound=Learner)


def input_for(name: str, input_spec: InputSpec | None = None, images: ImageSource | None = None) -> InputSpec:
    """Return the input of a learner of that name.

    It is the default of the learner's constructor if there is one, otherwise `input_spec`. If that is None, it follows
    from the images: tables are taken unchanged, volumes as voxels, samples of several images as bags of features, and
    single images as features of the learner's `encoders`.

    Raises:
        InputError: there is no such learner.
    """
    learner = _class_of(name)
    own = signature(learner).parameters["input_spec"].default
    if own is not Parameter.empty:
        return own
    if input_spec is not None:
        return input_spec
    match images:
        case Vectors():
            return FeatureInput(images.array.shape[1:])
        case SeveralImages():
            return EncodedBagInput(cut="slices" if images.axes == 3 else WHOLE, images=len(images.names))
        case ImageSource() if images.axes == 3:
            return VolumeInput()
        case _:
            return EncodedInput(learner.encoders)


def create(
    name: str,
    *,
    input_spec: InputSpec | None = None,
    preset: str | None = None,
    seed: int = 0,
    pretrained: bool = True,
    **settings: Any,
) -> Learner:
    """Make a new learner.

    Args:
        name: a key of `LEARNERS`.
        input_spec: what it takes of each image; if left out, features of the learner's encoders.
        preset: "reference" makes "metal" the published program, the learner "metal-reference".
        seed: the seed of its random initial parameters; the global random state stays as it is.
        pretrained: whether it gets the weights that come with medshot, if there are any for these features.
        settings: keyword arguments of the learner's class.

    Raises:
        InputError: there is no such learner, or it has no such setting.
    """
    name = f"{name}-{preset}" if preset else name
    taken = input_for(name) if input_spec is None else input_spec
    learner = _make(name, taken, seed, settings)
    return with_shipped_weights(learner) if pretrained and type(taken) is EncodedInput else learner


def create_for(
    images: ImageSource | None,
    name: str,
    *,
    input_spec: InputSpec | None = None,
    preset: str | None = None,
    seed: int = 0,
) -> Learner:
    """Make a learner that can adapt to these images as it is: it needs no meta-training, or has shipped weights.

    Args:
        images: the images that it will be used on; None if they are unknown.
        name: a key of `LEARNERS`.
        input_spec: what it takes of each image, unless it has an input of its own; if left out, it follows from the
            images. A learner that chooses also chooses how pages of ECGs are cut.
        preset: as for `create`.
        seed: as for `create`.

    Raises:
        InputError: there is no such learner, or it must be meta-trained first.
    """
    taken = input_for(f"{name}-{preset}" if preset else name, input_spec, images)
    if LEARNERS[name].family == CHOICE and images is not None and taken.encodes_whole:
        taken = taken.with_cut(usual_cut(images) or taken.cut)
    learner = create(name, input_spec=taken, preset=preset, seed=seed)
    if learner.gradient is not None and not learner.training_images:
        raise InputError(
            f"Learner '{name}' must be meta-trained first; give the folder of a run (--from RUN, see medshot "
            "meta-train)."
        )
    return learner


def copy_or_create(learner: str | Path | Learner, images: ImageSource) -> Learner:
    """Return a copy of a learner, the learner of a run folder, or a new learner of that name for these images.

    Raises:
        InputError: there is no such folder and no such learner, or it must be meta-trained first.
        StorageError: the folder is damaged, or is of another version.
    """
    if isinstance(learner, Learner):
        return copy.deepcopy(learner)
    if Path(learner).is_dir():
        return load_learner(learner)
    if str(learner) not in LEARNERS:
        raise InputError(
            f"learner is '{learner}', neither a run folder nor one of {', '.join(LEARNERS)}; correct it."
            f"{closest(str(learner), LEARNERS)}"
        )
    return create_for(images, str(learner))


def load_learner(folder: str | Path) -> Learner:
    """Read the learner of a run folder.

    Raises:
        StorageError: the folder is not a finished run, is damaged, or is of another version.
    """
    folder = Path(folder)
    record = read_folder(folder, "run")
    learner = rebuild(folder, record)
    learner.training_images = read_checked(folder, record, IMAGES)
    return learner


def rebuild(folder: Path, record: FolderRecord) -> Learner:
    """Make the learner that a folder's record describes, with the parameters beside it."""
    arrays = read_checked(folder, record, LEARNER)
    description = record.learner
    what = f"{folder} holds a '{description.name}' learner"
    if description.name not in LEARNERS:
        raise StorageError(
            f"{what}, which is not registered here; import the file that registers it (medshot --import FILE COMMAND, "
            "or import in Python), or install its package."
        )
    try:
        input_spec = description.input_spec
        # On the meta device nothing is allocated, so that a record cannot claim more memory than its arrays have.
        with torch.device("meta"):
            learner = _make(description.name, input_spec, 0, description.settings)
        learner.load_state_dict({name: torch.from_numpy(value.copy()) for name, value in arrays.items()}, assign=True)
    except InputError as error:
        raise StorageError(f"{what}, which cannot be made here: {error}") from error
    except (TypeError, ValueError, RuntimeError) as error:
        raise StorageError(f"{what}, whose parameters do not fit its record; make it again.") from error
    learner.training_record = description.training
    return learner.eval()


def _class_of(name: str) -> type[Learner]:
    if name not in LEARNERS:
        sentence = f"There is no learner '{name}'; choose one of {', '.join(LEARNERS)}.{closest(name, LEARNERS)}"
        raise InputError(" ".join([sentence, *LEARNERS.broken]))
    return LEARNERS[name]


def _make(name: str, input_spec: InputSpec, seed: int, settings: dict[str, Any]) -> Learner:
    """Make a learner with random initial parameters."""
    try:
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            return _class_of(name)(input_spec, **settings)
    except TypeError as error:
        raise InputError(f"Learner '{name}' cannot be made with {settings} ({error}); check the names.") from error


def with_shipped_weights(learner: AnyLearner) -> AnyLearner:
    """Give a learner of an encoder's features the weights that come with medshot, if there are any; return it."""
    if isinstance(learner, DepthRidge):
        give_weights(learner, shipped_weights(learner.name), shipped_images())
    return learner


def give_weights(learner: DepthRidge, weights: Mapping[str, Tensor], training_images: TrainingImages) -> None:
    """Set the weights of a learner: one for each depth of its encoders.

    Weights of an encoder with N depths are repeated for a learner with a multiple of N depths. Other learners start
    with equal weights.

    Args:
        learner: a learner that takes the features of any encoders.
        weights: the weights of a learner that takes the features of one encoder.
        training_images: the images that they were learned from.
    """
    depths = len(weights["log_weights"])
    state = {name: value.clone() for name, value in weights.items()}
    times, rest = divmod(len(learner.sizes), depths)
    state["log_weights"] = weights["log_weights"].repeat(times) if rest == 0 else torch.zeros(len(learner.sizes))
    learner.load_state_dict(state, assign=True)
    learner.training_images = dict(training_images)


def weights_file(name: str) -> Path:
    """Return the path of the weights of a learner of that name."""
    return HOME / f"{name.replace('-', '_')}.safetensors"


@cache
def shipped_weights(name: str) -> dict[str, Tensor]:
    """Read the weights of a learner of that name."""
    return {key: torch.from_numpy(value.copy()) for key, value in read_arrays(weights_file(name)).items()}


def shipped_images() -> TrainingImages:
    """Return the training images of the encoder `medical`, which include those that the weights were learned from."""
    read = ENCODERS["medical"].training_images
    assert read is not None
    return read()
