"""The same work as medshot and its peers each do it: one meta-gradient over a batch of tasks, or one pass of a head.

Every function returns a step to be timed. A step returns numbers that must be equal for all: the mean query loss and,
for a meta-gradient, the norm of its part for the base network.
"""

import copy
import math
from collections.abc import Callable

import higher
import torch
import torchopt
from metalearn.algorithms.MAML import MAML
from metalearn.algorithms.PrototypicalNet import PrototypicalNetwork
from metalearn.inner_optimizers import InnerSGD
from metalearn.loss import CategoricalAccuracy, CrossEntropy
from metalearn.model_wrappers.PrototypicalWrapper import ProtoNet_Model
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from benchmarks.speed.random_tasks import WAYS, Batch
from medshot.learners import Learner
from medshot.training import Engine

Step = Callable[[], Tensor]
RATE, STEPS = 0.1, 5


class Network(nn.Module):
    """The module that MAML adapts: a network, features less the mean of the support, a linear head."""

    def __init__(self, body: nn.Module, features: int) -> None:
        super().__init__()
        self.body, self.head = body, nn.Linear(features, WAYS)
        nn.init.zeros_(self.head.weight)
        nn.init.zeros_(self.head.bias)

    def forward(self, images: Tensor, support: Tensor | None = None) -> Tensor:
        features = self.body(images)
        return self.head(features - (features if support is None else self.body(support)).mean(0))


class PooledNetwork(nn.Module):
    """The Conv4-32 of papers and other libraries: max-pooling, BatchNorm on the batch at hand, a linear head."""

    def __init__(self, width: int = 32) -> None:
        super().__init__()
        self.body = nn.Sequential(
            *(self._block(channels, width) for channels in (1, width, width, width)), nn.Flatten()
        )
        self.head = nn.Linear(width, WAYS)

    def forward(self, images: Tensor, support: Tensor | None = None) -> Tensor:
        return self.head(self.body(images))

    @staticmethod
    def _block(channels_in: int, channels_out: int) -> nn.Sequential:
        return nn.Sequential(
            nn.Conv2d(channels_in, channels_out, kernel_size=3, padding=1),
            nn.BatchNorm2d(channels_out, track_running_stats=False),
            nn.ReLU(),
            nn.MaxPool2d(2),
        )


def with_medshot(learner: Learner, batch: Batch, engine: Engine) -> Step:
    """Return loss and backward pass of a learner with all rates equal to RATE, as in the other libraries."""
    for rate in learner.log_rates.values():
        nn.init.constant_(rate, math.log(RATE))
    support = batch.supports()
    learner.train()

    def step() -> Tensor:
        learner.engine = engine
        learner.zero_grad()
        loss = mean_loss(learner.adapt(support)(batch.query), batch)
        loss.backward()
        return numbers(loss, learner.network)

    return step


def numbers(loss: Tensor | float, network: nn.Module) -> Tensor:
    """Return the loss and the norm of the network's gradient, zero if it has none."""
    gradients = [parameter.grad for parameter in network.parameters() if parameter.grad is not None]
    norm = nn.utils.get_total_norm(gradients) if gradients else torch.zeros(())
    return torch.stack([torch.as_tensor(loss).detach().double(), norm.double()])


def with_higher(network: nn.Module, batch: Batch, order: int) -> Step:
    """Follow higher's example of MAML; first order is the gradient at the end of an inner loop without a graph."""
    optimizer = torch.optim.SGD(network.parameters(), lr=RATE)

    def step() -> Tensor:
        network.zero_grad()
        total = torch.zeros(())
        for support, labels, query, query_labels in batch:
            with higher.innerloop_ctx(
                network, optimizer, copy_initial_weights=False, track_higher_grads=order == 2
            ) as (fast, inner):
                for _ in range(STEPS):
                    inner.step(cross_entropy(fast(support), labels))
                loss = cross_entropy(fast(query, support), query_labels) / len(batch)
                if order == 2:
                    loss.backward()
                else:
                    add_gradients(network, torch.autograd.grad(loss, list(fast.parameters())))
                total = total + loss.detach()
        return numbers(total, network.body)

    return step


def add_gradients(network: nn.Module, gradients: tuple[Tensor, ...]) -> None:
    for parameter, gradient in zip(network.parameters(), gradients, strict=True):
        parameter.grad = gradient if parameter.grad is None else parameter.grad + gradient


def with_torchopt(network: nn.Module, batch: Batch) -> Step:
    """Follow TorchOpt's example of MAML with MetaSGD, which has no first order."""

    def step() -> Tensor:
        network.zero_grad()
        optimizer = torchopt.MetaSGD(network, lr=RATE)
        start = torchopt.extract_state_dict(network, by="reference", detach_buffers=True)
        total = torch.zeros(())
        for support, labels, query, query_labels in batch:
            for _ in range(STEPS):
                optimizer.step(cross_entropy(network(support), labels))
            loss = cross_entropy(network(query, support), query_labels) / len(batch)
            loss.backward()
            total = total + loss.detach()
            torchopt.recover_state_dict(network, start)
        return numbers(total, network.body)

    return step


class MetalearnModel(nn.Module):
    """A network as parallel-metalearn's MAML calls it; queries come with their support."""

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network

    def forward(self, inputs: Tensor | dict[str, Tensor], **flags: object) -> dict[str, Tensor | dict[str, Tensor]]:
        arguments = (inputs,) if isinstance(inputs, Tensor) else (inputs["query"], inputs["support"])
        return {"logits": self.network(*arguments), "buffers": {}}

    def get_fast_weights(self) -> dict[str, nn.Parameter]:
        return dict(self.named_parameters())


def with_metalearn(network: nn.Module, batch: Batch, order: int, backend: str) -> Step:
    """Run parallel-metalearn's `MAML.step` with a fixed rate, followed by an outer step of size zero."""
    model = MetalearnModel(network)
    maml = MAML(
        model=model,
        optimizer=torch.optim.SGD(model.parameters(), lr=0.0),
        inner_optimizer=InnerSGD(model.get_fast_weights(), first_order=order == 1, inner_lr=RATE, learn_lr=False),
        support_loss_fn=CrossEntropy(CategoricalAccuracy()),
        inner_steps=STEPS,
        device=torch.device("cpu"),
        backend=backend,
    )
    queries = {"query": batch.query, "support": batch.support}
    data = (batch.support, {"labels": batch.labels}, queries, {"labels": batch.query_labels})
    counted = len(batch) if backend == "sequential" else 1  # there it divides the loss by the number of tasks twice
    return lambda: numbers(counted * maml.step(iter([data]))[0], network.body)


def head_with_medshot(learner: Learner, batch: Batch, engine: Engine) -> Step:
    """Adapt to all tasks, then classify all queries."""
    support = batch.supports()
    learner.eval()

    @torch.no_grad()
    def step() -> Tensor:
        learner.engine = engine
        return mean_loss(learner.adapt(support)(batch.query), batch)

    return step


def prototypes_with_metalearn(batch: Batch, chunk: int) -> Step:
    """Run parallel-metalearn's `PrototypicalNetwork.step` in evaluation, on given features."""
    model = ProtoNet_Model(AsTheyAre(), max_classes=WAYS, latent_dim=batch.query.shape[-1])
    nothing = torch.optim.SGD([nn.Parameter(torch.zeros(()))], lr=0.0)
    network = PrototypicalNetwork(
        model=model,
        optimizer=nothing,
        loss_fn=CrossEntropy(CategoricalAccuracy()),
        chunk_size=chunk,
        device=torch.device("cpu"),
    )
    data = (batch.support, {"labels": batch.labels}, batch.query, {"labels": batch.query_labels})

    @torch.no_grad()
    def step() -> Tensor:
        return torch.tensor(network.step(iter([data]), training=False)[0])

    return step


class AsTheyAre(nn.Identity):
    """A backbone that leaves features alone and takes parallel-metalearn's flags."""

    def forward(self, features: Tensor, **flags: object) -> Tensor:
        return features


@torch.no_grad()
def looped(head: Callable[..., Tensor], batch: Batch) -> Tensor:
    """Run a head for one task after another, as easyfsl and learn2learn do."""
    return mean_loss(torch.stack([head(*task[:3]) for task in batch]), batch)


def mean_loss(logits: Tensor, batch: Batch) -> Tensor:
    return cross_entropy(logits.flatten(0, 1), batch.query_labels.flatten())


def prototypes_by_cdist(support: Tensor, labels: Tensor, query: Tensor) -> Tensor:
    """Return logits of the prototype head of easyfsl and learn2learn."""
    prototypes = torch.stack([support[labels == way].mean(0) for way in range(WAYS)])
    return -torch.cdist(query, prototypes).square()


def ridge_by_solve(support: Tensor, labels: Tensor, query: Tensor) -> Tensor:
    """Return logits of R2D2's head with medshot's penalty, scale and centring."""
    centre = support.mean(0)
    rows, targets = support - centre, nn.functional.one_hot(labels, WAYS).to(support) - 1 / WAYS
    gram = rows @ rows.T + torch.eye(len(rows)).to(rows)
    return 5 * (query - centre) @ rows.T @ torch.linalg.solve(gram, targets)


def plain(learner: Learner) -> Network:
    """Return the learner's base network and a zero head as one plain module, with parameters of its own."""
    body = nn.Identity() if learner.adapt_parameters == "head" else copy.deepcopy(learner.network)
    return Network(body, learner.network.features).to(next(learner.parameters()).dtype)
