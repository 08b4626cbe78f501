import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor
from torch.func import functional_call, grad, vmap

from medshot.errors import InputError
from medshot.imaging import ImageInput, VolumeInput
from medshot.networks import ConvolutionalNetwork

pictures = st.builds(ImageInput, channels=st.sampled_from([1, 3]), size=st.integers(28, 48))
volumes = st.builds(VolumeInput, size=st.integers(17, 26))


def images_of(shape: ImageInput | VolumeInput, *count: int) -> Tensor:
    return torch.rand(*count, *shape.dimensions, dtype=torch.float64)


@given(shape=pictures | volumes, width=st.integers(1, 20), depth=st.integers(1, 3) | st.none())
@settings(max_examples=30, deadline=None)
def test_features_of_an_image_do_not_depend_on_the_batch(
    shape: ImageInput | VolumeInput, width: int, depth: int | None
):
    network = ConvolutionalNetwork(shape, width=width, depth=depth).double()
    images = images_of(shape, 4)
    features = network(images)
    assert network.input_spec == shape
    assert features.shape == (4, network.features) == (4, width)
    torch.testing.assert_close(network(images[2:3])[0], features[2], rtol=1e-10, atol=1e-12)
    assert not list(network.buffers())


@given(gain=st.floats(0.2, 1), offset=st.floats(0, 1))
@settings(max_examples=20, deadline=None)
def test_brightness_and_contrast_of_an_image_change_little(gain: float, offset: float):
    torch.manual_seed(0)
    network = ConvolutionalNetwork(ImageInput(1, 28), width=8, depth=3).double()
    images = images_of(network.input_spec, 3)
    changed = gain * images + (1 - gain) * offset
    torch.testing.assert_close(network(changed), network(images), rtol=0, atol=1e-2)
    assert (network(images)[0] - network(images)[1]).abs().max() > 1e-2


def test_a_constant_image_has_finite_features_and_gradients():
    network = ConvolutionalNetwork(ImageInput(1, 28)).double()
    images = torch.full((2, 1, 28, 28), 0.5, dtype=torch.float64, requires_grad=True)
    features = network(images)
    gradients = torch.autograd.grad(features.sum(), [images, *network.parameters()])
    assert all(bool(value.isfinite().all()) for value in [features, *gradients])


@pytest.mark.parametrize("shape", [ImageInput(1, 28), VolumeInput(1, 12)])
def test_second_order_gradients_over_tasks_are_those_of_a_loop(shape: ImageInput | VolumeInput):
    torch.manual_seed(0)
    network = ConvolutionalNetwork(shape, width=8, depth=3).double()
    parameters = {name: value.detach() for name, value in network.named_parameters()}
    tasks = images_of(network.input_spec, 3, 4)

    def loss(parameters: dict[str, Tensor], images: Tensor) -> Tensor:
        return functional_call(network, parameters, (images,)).sin().sum()

    def after_one_step(parameters: dict[str, Tensor], images: Tensor) -> Tensor:
        gradient = grad(loss)(parameters, images[:2])
        return loss({name: parameters[name] - 0.1 * gradient[name] for name in parameters}, images[2:])

    together = vmap(grad(after_one_step), in_dims=(None, 0))(parameters, tasks)
    for index, images in enumerate(tasks):
        for name, alone in grad(after_one_step)(parameters, images).items():
            torch.testing.assert_close(together[name][index], alone, rtol=1e-10, atol=1e-10)


def test_too_deep_for_the_images_is_refused_in_one_sentence():
    with pytest.raises(InputError, match="depth 5 needs images of more than 32 a side, and they have 32"):
        ConvolutionalNetwork(ImageInput(1, 32), depth=5)
    with pytest.raises(InputError, match="width 0"):
        ConvolutionalNetwork(ImageInput(1, 32), width=0)
