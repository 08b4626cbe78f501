"""The weights of candidates that follow from outcomes and cross-validation."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from medshot.selection.auto import UNKNOWN, Belief, evidence, prior
from medshot.selection.outcomes import Outcome
from medshot.selection.task_features import SupportFeatures

KEYS = [("ridge", "a"), ("logistic", "a"), ("logistic", "b")]
HERE = SupportFeatures(ways=2, shots=5.0, spread=0.5)


def outcome(key: tuple[str, str], loss: float, *, source: str = "one", shots: int = 5, ways: int = 2) -> Outcome:
    return Outcome(
        source=source,
        task=source,
        learner=key[0],
        takes=key[1],
        shots=shots,
        ways=ways,
        spread=0.5,
        loss=loss,
        accuracy=0.5,
        episodes=10,
    )


def past(losses: tuple[float, float, float], **where) -> list[Outcome]:
    return [outcome(key, loss, **where) for key, loss in zip(KEYS, losses, strict=True)]


@given(st.lists(st.floats(-0.5, 0.5), min_size=2, max_size=6), st.floats(0.01, 0.5))
def test_weights_are_shares_and_follow_the_mean(means: list[float], deviation: float):
    weights = Belief(np.array(means), np.full(len(means), deviation)).weights()
    assert weights.sum() == pytest.approx(1)
    ahead = int(np.argmax(means))
    if means[ahead] > sorted(means)[-2] + deviation:
        assert weights.argmax() == ahead


@given(st.floats(-0.3, 0.3))
def test_a_loss_common_to_all_candidates_has_no_effect(shift: float):
    base, moved = (0.6, 0.5, 0.7), tuple(loss + shift for loss in (0.6, 0.5, 0.7))
    one, other = prior(past(base), KEYS, HERE), prior(past(moved), KEYS, HERE)
    np.testing.assert_allclose(one.mean, other.mean, atol=1e-12)
    losses = np.random.default_rng(0).uniform(0, 1, (3, 8))
    np.testing.assert_allclose(evidence(losses).mean, evidence(losses + shift).mean, atol=1e-12)


def test_without_past_tasks_all_are_alike():
    for outcomes in ([], past((0.5, 0.1, 0.9))[:2]):
        belief = prior(outcomes, KEYS, HERE)
        assert belief.mean.tolist() == [0, 0, 0]
        assert belief.deviation.tolist() == [UNKNOWN] * 3


def test_tasks_like_this_one_weigh_more():
    outcomes = past((0.2, 0.6, 0.7)) + past((0.9, 0.3, 0.7), source="two", shots=40, ways=7)
    assert prior(outcomes, KEYS, HERE).mean.argmax() == 0
    assert prior(outcomes, KEYS, SupportFeatures(7, 40.0, 0.5)).mean.argmax() == 1


def test_few_labels_lean_on_the_prior_and_many_on_themselves():
    belief = prior(past((0.45, 0.5, 0.55)) + past((0.44, 0.5, 0.56), source="two"), KEYS, HERE)
    rng = np.random.default_rng(0)

    def evidence_of(patients: int) -> Belief:
        return evidence(np.array([[0.6], [0.5], [0.5]]) + rng.normal(0, 0.2, (3, patients)))

    alone = evidence_of(4).mean.argmax()
    assert alone != 0
    assert belief.after(evidence_of(4)).mean.argmax() == 0
    assert belief.after(evidence_of(4000)).mean.argmax() != 0
    assert (belief.after(evidence_of(4)).deviation < belief.deviation).all()


def test_of_several_outcomes_on_one_task_that_of_most_episodes_counts():
    rows = past((0.5, 0.7, 0.9))
    hasty = [outcome(KEYS[0], 1.5).model_copy(update={"episodes": 1})]
    assert prior([*rows, *hasty], KEYS, HERE).mean == pytest.approx(prior(rows, KEYS, HERE).mean)
    assert prior([*hasty, *rows], KEYS, HERE).mean == pytest.approx(prior(rows, KEYS, HERE).mean)
