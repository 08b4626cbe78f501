"""Laws of learners of bags: the order of instances and the content of missing ones change nothing."""

import pytest
import torch
from feature_learners import vectors
from small_learners import NAMES, SMALL, VARIANTS

from medshot.learners import create
from medshot.networks import BagInput
from medshot.tasks import Support

BLOCKS = (6, 4)
SHAPE = BagInput(blocks=BLOCKS, kinds=("overview", "patch", "patch"))


def learner_of_bags(name: str, shape: BagInput = SHAPE, *, stir: bool = True):
    registered, changed = VARIANTS.get(name, (name, {}))
    learner = create(registered, input_spec=shape, **(SMALL.get(registered, {}) | changed)).double().eval()
    generator = torch.Generator().manual_seed(0)
    for value in learner.parameters() if stir else ():
        value.data += 0.1 * torch.randn(value.shape, generator=generator).double()
    return learner


def bags(seed: int, tasks: int, samples: int, instances: int = 3) -> torch.Tensor:
    """Make bags; every second one lacks its last instance."""
    content = vectors(seed, tasks, samples, instances, sum(BLOCKS))
    there = torch.ones(tasks, samples, instances, 1, dtype=torch.float64)
    there[:, ::2, -1] = 0
    return torch.cat([there, content * there], -1)


def support_of_bags() -> Support:
    labels = torch.tensor([[0, 1, 2, 0, 1, 2, 0, 1, 2]] * 2)
    return Support(bags(1, 2, 9), labels, torch.ones(2, 9, dtype=torch.float64), 3)


def predictions(name: str, support: Support, queries: torch.Tensor) -> torch.Tensor:
    return learner_of_bags(name).adapt(support).probabilities(queries)


@pytest.mark.parametrize("name", NAMES)
def test_missing_instances_and_padding_have_no_effect(name):
    support, queries = support_of_bags(), bags(2, 2, 4)
    other = support.images.clone(), queries.clone()
    for those in other:
        those[..., 1:] += 7 * (1 - those[..., :1])
    changed = Support(other[0], support.labels, support.weights, support.ways)
    if create(VARIANTS.get(name, (name,))[0]).randomised:
        changed = support  # what is drawn is seeded by the content of the support
    torch.testing.assert_close(
        predictions(name, changed, other[1]), predictions(name, support, queries), atol=1e-10, rtol=0
    )


@pytest.mark.parametrize("name", NAMES)
def test_instances_of_one_kind_may_be_in_any_order(name):
    support, queries = support_of_bags(), bags(2, 2, 4)
    before = predictions(name, support, queries)
    torch.testing.assert_close(predictions(name, support, queries[..., [0, 2, 1], :]), before, atol=1e-10, rtol=0)


@pytest.mark.parametrize("name", [name for name in NAMES if not learner_of_bags(name).randomised])
def test_before_meta_training_a_bag_of_equal_instances_is_classified_as_one_instance(name):
    support = support_of_bags()
    one = support.images[:, :, :1]
    lone = Support(one, support.labels, support.weights, support.ways)
    thrice = Support(one.expand(-1, -1, 3, -1), support.labels, support.weights, support.ways)
    queries = bags(2, 2, 4)[:, :, :1]
    single, triple = (
        learner_of_bags(name, BagInput(blocks=BLOCKS, kinds=("patch",) * instances), stir=False) for instances in (1, 3)
    )
    triple.load_state_dict(single.state_dict())
    torch.testing.assert_close(
        triple.adapt(thrice).probabilities(queries.expand(-1, -1, 3, -1)),
        single.adapt(lone).probabilities(queries),
        atol=1e-8,
        rtol=0,
    )
