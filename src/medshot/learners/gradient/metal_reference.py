"""METAL's reference preset: the published program, for one task with two classes."""

import copy

import torch
from jaxtyping import Float
from torch import Tensor
from torch.func import functional_call
from torch.nn.functional import binary_cross_entropy_with_logits

from medshot.errors import InputError
from medshot.imaging import ImageInput
from medshot.learners.base import Adapted, Learner
from medshot.learners.seeding import Randomness
from medshot.networks import MetaNetwork, ReferenceNetwork
from medshot.progress import tracked
from medshot.tasks import Support

META = "meta_network/"
FIRST_MOMENT = 0.9


class MetalReference(Learner):
    """METAL exactly as published (docs/metal.md): two classes on one logit, images of 224×224×3.

    `adapt` splits the support's patients into training folds and one validation fold. An epoch is one pass over the
    training patients in batches of 32. For each batch, with g = ∇_θ L_task: θ takes a step of Adam(0.001) on
    Δθ = g + β m_φ(g), then φ takes a step of Adam(0.001) on L_cv, the loss of a batch of the validation fold. That step
    is first order: g is constant, and so is Adam's second moment, so that dθ'/dΔθ is Adam's own rate per coordinate.

    It is exempt from relabelling (one logit). The order of its mini-batches is seeded by the support. Inductive;
    `adapt` costs `epochs` passes and takes minutes.

    Args:
        input_spec: 224×224×3.
        epochs: passes over the training patients.
        batch: images in a mini-batch.
        learning_rate: of both optimizers.
        beta: β, which the publication does not give. After one step m of a raw gradient is nearly constant, 0.01 to
            0.1, and a gradient's coordinate is about 0.001: hence the small value.
        folds: the number of folds; one of them is the validation fold.
    """

    name = "metal-reference"
    family = "Meta-GD"
    summary = "METAL exactly as published: 11 million parameters, two classes, one task"
    paper = "METAL (docs/metal.md)"
    cost = "ten epochs over the support: minutes"
    randomised = True
    batchable = False
    relabels = False

    def __init__(
        self,
        input_spec: ImageInput = ReferenceNetwork.input_spec,
        *,
        epochs: int = 10,
        batch: int = 32,
        learning_rate: float = 0.001,
        beta: float = 0.01,
        folds: int = 5,
    ) -> None:
        super().__init__(input_spec)
        if input_spec != ReferenceNetwork.input_spec:
            raise InputError(
                f"The reference preset takes 224×224×3 images, not {input_spec}; leave --size and --channels out."
            )
        self.epochs, self.batch, self.learning_rate = epochs, batch, learning_rate
        self.beta, self.folds = beta, folds
        self.network = ReferenceNetwork()
        self.meta_network = MetaNetwork()

    def sample_randomness(self, support: Support, generator: torch.Generator) -> Randomness:
        """Sample which images are the validation fold, and each training image's place in every epoch."""
        patients = torch.arange(len(support.labels)) if support.patients is None else support.patients.cpu()
        validation = _validation_fold(support.labels.cpu(), patients, self.folds, generator)
        training = (~validation).nonzero()[:, 0]
        places = torch.zeros(len(validation), self.epochs, dtype=torch.int64)
        for epoch in range(self.epochs):
            places[training[torch.randperm(len(training), generator=generator)], epoch] = torch.arange(len(training))
        return {"validation": validation, "places": places}

    def adapt_one(self, support: Support, randomness: Randomness) -> Adapted:
        """Run the published program; return the trained base network and meta-network."""
        if support.ways != 2:
            raise InputError(f"The reference preset takes two classes, and the task has {support.ways}; merge some.")
        network, meta_network = copy.deepcopy(self.network), copy.deepcopy(self.meta_network)
        base = torch.optim.Adam(network.parameters(), lr=self.learning_rate)
        meta = torch.optim.Adam(meta_network.parameters(), lr=self.learning_rate)
        validation = randomness["validation"].nonzero()[:, 0]
        training = (~randomness["validation"] & (support.weights > 0).cpu()).nonzero()[:, 0]
        orders = (training[places.argsort()] for places in randomness["places"][training].T)
        batches = [batch for order in orders for batch in order.split(self.batch)]
        for step, batch in enumerate(tracked(batches, "reference METAL")):
            gradients = _gradients(network, support, batch)
            for parameter, gradient in zip(network.parameters(), gradients, strict=True):
                parameter.grad = gradient + self.beta * meta_network.propose(gradient)
            base.step()
            start = step * self.batch % len(validation)
            held_out = validation.roll(-start)[: self.batch]
            self._meta_step(network, meta_network, base, meta, gradients, _gradients(network, support, held_out))
        trained = {name: value.detach() for name, value in network.named_parameters()}
        return trained | {META + name: value.detach() for name, value in meta_network.named_parameters()}

    def predict_one(self, adapted: Adapted, images: Float[Tensor, "queries *image"]) -> Float[Tensor, "queries ways"]:
        """Return two logits, zero for class 0 and the network's for class 1; their softmax is the published sigmoid."""
        network = {name: value for name, value in adapted.items() if not name.startswith(META)}
        logits = torch.cat([functional_call(self.network, network, (part,)) for part in images.split(self.batch)])
        return torch.stack([torch.zeros_like(logits), logits], dim=1)

    def _meta_step(
        self,
        network: ReferenceNetwork,
        meta_network: MetaNetwork,
        base: torch.optim.Adam,
        meta: torch.optim.Adam,
        gradients: list[Tensor],
        slopes: list[Tensor],
    ) -> None:
        """Take one step of φ on L_cv; `slopes` is ∇_θ L_cv at the stepped θ."""
        meta.zero_grad()
        for parameter, gradient, slope in zip(network.parameters(), gradients, slopes, strict=True):
            state = base.state[parameter]
            step = float(state["step"])
            root = (state["exp_avg_sq"] / (1 - 0.999**step)).sqrt().add_(1e-8)
            rate = self.learning_rate * (1 - FIRST_MOMENT) / (1 - FIRST_MOMENT**step)
            share = meta_network.parameter_gradient(gradient, slope.div(root).mul_(-rate * self.beta))
            for name, weights in meta_network.named_parameters():
                weights.grad = share[name] if weights.grad is None else weights.grad + share[name]
        meta.step()


def _gradients(network: ReferenceNetwork, support: Support, rows: Tensor) -> list[Tensor]:
    """Return ∇_θ of the mean binary cross-entropy over these rows of the support."""
    with torch.enable_grad():
        logits = network(support.images[rows])
        loss = binary_cross_entropy_with_logits(logits, support.labels[rows].to(logits))
        return list(torch.autograd.grad(loss, list(network.parameters())))


def _validation_fold(labels: Tensor, patients: Tensor, folds: int, generator: torch.Generator) -> Tensor:
    """Return a mask over the support: about one patient in `folds` of each class, at least one, never all."""
    chosen: set[int] = set()
    for label in labels.unique():
        people = patients[labels == label].unique()
        count = min(max(1, len(people) // folds), len(people) - 1)
        chosen |= set(people[torch.randperm(len(people), generator=generator)[:count]].tolist())
    mask = torch.tensor([int(patient) in chosen for patient in patients])
    if not mask.any() or mask.all():
        raise InputError(
            "The reference preset needs two patients or more in a class to keep a validation fold; add some."
        )
    return mask
