import torch
from torch import nn

from medshot.networks import ReferenceNetwork


def test_published_size_and_layers():
    network = ReferenceNetwork()
    assert sum(parameter.numel() for parameter in network.parameters()) == 11_169_089
    shapes = [tuple(parameter.shape) for parameter in network.parameters() if parameter.ndim > 1]
    assert shapes == [(32, 3, 3, 3), (64, 32, 3, 3), (128, 64, 3, 3), (128, 86_528), (1, 128)]
    kinds = [type(layer) for layer in network.layers]
    convolution = [nn.Conv2d, nn.ReLU, nn.MaxPool2d]
    assert kinds == [*convolution * 3, nn.Flatten, nn.Linear, nn.ReLU, nn.Linear]


def test_gives_one_logit_for_each_image_in_any_batch():
    network, images = ReferenceNetwork().double(), torch.rand(2, 3, 224, 224, dtype=torch.float64)
    assert (network.input_spec.channels, network.input_spec.size) == (3, 224)
    with torch.no_grad():
        logits = network(images)
        alone = torch.cat([network(image[None]) for image in images])
    assert logits.shape == (2,)
    torch.testing.assert_close(logits, alone, rtol=1e-10, atol=1e-12)
