"""Loop, vmap and chunk are three ways to the same numbers (law 2)."""

import pytest
import torch
from small_learners import NAMES, episodes, tiny

from medshot.errors import InputError
from medshot.training import Engine, fastest_engine, parse_engine

BATCHABLE = [name for name in NAMES if tiny(name).batchable]
ENGINES = [Engine("vmap"), Engine("chunk", 1), Engine("chunk", 2), Engine("chunk", 5)]


def under(engine: Engine, name: str, *, training: bool) -> tuple[list[torch.Tensor], list[torch.Tensor]]:
    """Return losses and accuracies of unequal episodes, and the gradients of their mean loss."""
    learner = tiny(name).train(training)
    learner.engine = engine
    losses, accuracies = learner.scores(episodes(5))
    learned = [value for value in learner.parameters() if value.requires_grad]
    gradients = torch.autograd.grad(losses.mean(), learned, allow_unused=True) if learned else []
    return [losses, accuracies], [gradient for gradient in gradients if gradient is not None]


@pytest.mark.parametrize("training", [True, False])
@pytest.mark.parametrize("name", BATCHABLE)
def test_every_engine_gives_the_same_scores_and_gradients(name, training):
    scores, gradients = under(Engine("loop"), name, training=training)
    assert len({round(loss, 6) for loss in scores[0].tolist()}) == 5, "the episodes are alike and prove little"
    # Adam divides gradients by their size, and so makes much of the rounding of those that are nearly zero
    tolerance = 1e-5 if name.startswith("finetune") and not training else 1e-8
    for engine in ENGINES:
        other_scores, other_gradients = under(engine, name, training=training)
        torch.testing.assert_close(other_scores, scores, atol=tolerance, rtol=0)
        torch.testing.assert_close(other_gradients, gradients, atol=tolerance, rtol=tolerance)


def test_every_engine_takes_trees_apart_and_puts_them_together():
    def function(tree, scale):
        return {"sum": tree["a"] + tree["b"][0], "rest": (tree["b"][1] * scale,)}

    trees = {"a": torch.randn(4, 3), "b": (torch.randn(4, 3), torch.randn(4, 2))}, torch.randn(4)
    expected = Engine("loop").map(function, *trees)
    assert expected["rest"][0].shape == (4, 2)
    torch.testing.assert_close(expected["sum"], trees[0]["a"] + trees[0]["b"][0])
    for engine in ENGINES:
        torch.testing.assert_close(engine.map(function, *trees), expected)


@pytest.mark.parametrize("text", ["loop", "vmap", "chunk:1", "chunk:16"])
def test_an_engine_has_one_name(text):
    assert str(parse_engine(text)) == text


@pytest.mark.parametrize(
    "text", ["", "fast", "chunk", "chunk:", "chunk:0", "chunk:-1", "chunk:1.5", "loop:2", "vmap:1", "LOOP"]
)
def test_other_names_are_refused(text):
    with pytest.raises(InputError, match=f"^engine is '{text}', but must be loop, vmap or chunk:N"):
        parse_engine(text)


def test_the_fastest_engine_is_measured(monkeypatch):
    clock = iter(range(10_000))
    monkeypatch.setattr("medshot.training.engine.time.perf_counter", lambda: float(next(clock)))
    tried = []

    def run(engine):
        tried.append(str(engine))
        if engine.kind != "chunk":
            next(clock)

    assert str(fastest_engine(run, 5)) == "chunk:3"
    assert set(tried) == {"loop", "vmap", "chunk:3"}
    assert fastest_engine(run, 1) == Engine("loop")
