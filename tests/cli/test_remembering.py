"""What an evaluation leaves for `auto`, and what `auto` is not to know while it is scored."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from medshot.cli.evaluating import load_learners, remember_for_auto
from medshot.evaluation import Cell, EpisodePredictions, Protocol, draw_episodes, evaluate
from medshot.evaluation.outcome_log import _device_of, takes_of
from medshot.imaging import FeatureInput, Vectors
from medshot.learners import create
from medshot.selection.auto import Auto
from medshot.selection.outcomes import Outcome, remember, users_file, users_outcomes
from medshot.tasks import Task, marks_of


@pytest.fixture
def own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("MEDSHOT_OUTCOMES", str(tmp_path / "mine.jsonl"))
    return users_file()


def task_of(name: str, *, seed: int = 0) -> Task:
    rng = np.random.default_rng(seed)
    return Task(name, Vectors(rng.normal(size=(20, 5))), np.arange(20) % 2, ("a", "b"), np.arange(20), source=name)


def cell_of(task: Task, probability: float, *, name: str = "logistic") -> Cell:
    episodes = draw_episodes(task, 2, Protocol(episodes=2, shots=(2,)))
    said = []
    for episode in episodes:
        truth = np.eye(2)[episode.query_labels]
        probabilities = probability * truth + (1 - probability) * (1 - truth)
        said.append(EpisodePredictions(probabilities, episode.query_labels, episode.query, episode.query))
    return Cell(task, 2, episodes, {name: said})


def test_an_evaluation_is_remembered(own: Path):
    cell = cell_of(task_of("here"), 0.75)
    remember_for_auto([cell], {"logistic": create("logistic", input_spec=FeatureInput((5,)))})
    (row,) = users_outcomes()
    assert (row.source, row.learner, row.takes, row.shots, row.ways) == ("here", "logistic", "features", 2, 2)
    assert row.loss == pytest.approx(np.log(0.75) / np.log(0.5))
    assert row.accuracy == 1
    assert row.images == marks_of(task_of("here"))


def test_an_evaluation_of_auto_is_one_of_its_candidates_too(own: Path):
    auto = Auto(FeatureInput((5,)))
    remember_for_auto([cell_of(task_of("here"), 0.75, name="auto")], {"auto": auto})
    first, *rows = users_outcomes()
    assert first.learner == "auto"
    assert [(row.learner, row.takes) for row in rows] == auto.keys
    assert len({row.loss for row in rows}) == len(rows)


def test_a_damaged_file_costs_a_line_and_not_the_evaluation(own: Path, capsys: pytest.CaptureFixture[str]):
    own.mkdir()
    remember_for_auto([cell_of(task_of("here"), 0.75)], {"logistic": create("logistic", input_spec=FeatureInput((5,)))})
    assert "not remembered for auto" in capsys.readouterr().err


@pytest.mark.parametrize("called", ["here", "under another name"])
def test_auto_knows_nothing_of_what_it_is_scored_on(own: Path, called: str, monkeypatch: pytest.MonkeyPatch):
    here = task_of("here")
    row = Outcome(
        source="here",
        task="here",
        learner="logistic",
        takes="features",
        shots=5,
        ways=2,
        spread=0.5,
        loss=0.5,
        accuracy=0.5,
        episodes=2,
        images=marks_of(here),
    )
    remember([row, row.model_copy(update={"source": "there", "images": marks_of(task_of("there", seed=1))})])
    auto = Auto(FeatureInput((5,)))
    known = []
    scored = replace(here, name=called, source=called)
    monkeypatch.setattr(auto, "draw", lambda *_: known.append(auto.outcomes) or {"seed": torch.tensor([0])})
    protocol = Protocol(episodes=1, shots=(2,), baseline="auto")
    evaluate({"auto": auto}, [scored], protocol)
    assert {outcome.source for outcome in known[0]} >= {"there"}
    assert "here" not in {outcome.source for outcome in known[0]}
    assert auto.outcomes is None


def test_a_run_of_ones_own_is_not_taken_for_what_comes_with_medshot(own: Path, tmp_path: Path):
    learner = create("logistic", input_spec=FeatureInput((5,)))
    assert takes_of(learner) == "features"
    learner.training_record = object()
    assert takes_of(learner) == "features, meta-trained"


def test_a_run_and_the_learner_of_its_name_are_both_evaluated(tmp_path: Path):
    shape = FeatureInput((5,))
    create("logistic", input_spec=shape).save(tmp_path / "run")
    assert list(load_learners([tmp_path / "run"], ["logistic"], shape)) == ["logistic", "logistic (as it comes)"]


def test_candidates_run_where_auto_is():
    auto = Auto(FeatureInput((5,))).to("meta")
    assert _device_of(auto).type == "meta"
    assert _device_of(create("logistic", input_spec=FeatureInput((5,)))).type == "cpu"
