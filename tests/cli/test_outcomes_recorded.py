"""The outcomes that an evaluation records for `auto`, and those that are hidden from `auto` while it is scored."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from command_line import PIXELS, medshot

from medshot.cli.loading import make_and_load
from medshot.evaluation import Cell, EpisodePredictions, Protocol, draw_episodes, evaluate
from medshot.evaluation.outcome_log import outcomes_of, takes_of
from medshot.evaluation.running import device_of
from medshot.imaging import FeatureInput, Vectors
from medshot.learners import create
from medshot.selection.auto import Auto
from medshot.selection.outcomes import Outcome, record_outcomes, users_file, users_outcomes
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
    predictions = []
    for episode in episodes:
        truth = np.eye(2)[episode.query_labels]
        probabilities = probability * truth + (1 - probability) * (1 - truth)
        predictions.append(EpisodePredictions(probabilities, episode.query_labels, episode.query, episode.query))
    return Cell(task, 2, episodes, {name: predictions})


def test_an_evaluation_is_recorded(own: Path):
    cell = cell_of(task_of("here"), 0.75)
    (row,) = outcomes_of([cell], {"logistic": create("logistic", input_spec=FeatureInput((5,)))})
    record_outcomes([row])
    assert users_outcomes() == (row,)
    assert (row.source, row.learner, row.takes, row.shots, row.ways) == ("here", "logistic", "features", 2, 2)
    assert row.loss == pytest.approx(np.log(0.75) / np.log(0.5))
    assert row.accuracy == 1
    assert row.images == marks_of(task_of("here"))


def test_an_evaluation_of_auto_is_one_of_its_candidates_too(own: Path):
    auto = Auto(FeatureInput((5,)))
    first, *rows = outcomes_of([cell_of(task_of("here"), 0.75, name="auto")], {"auto": auto})
    assert first.learner == "auto"
    assert [(row.learner, row.takes) for row in rows] == auto.keys
    assert len({row.loss for row in rows}) == len(rows)


def test_a_damaged_file_costs_a_line_and_not_the_evaluation(own: Path, ward: Path, capsys: pytest.CaptureFixture[str]):
    own.mkdir()
    options = ("--learners", "logistic", *PIXELS, "--shots", "1", "--episodes", "2", "--json")
    assert medshot("evaluate", ward, *options) == 0
    printed = capsys.readouterr()
    assert "not recorded for auto" in printed.err
    assert json.loads(printed.out)["rows"][0]["learner"] == "logistic"


@pytest.mark.parametrize("name", ["here", "under another name"])
def test_outcomes_on_the_scored_data_set_are_hidden_from_auto(own: Path, name: str, monkeypatch: pytest.MonkeyPatch):
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
    record_outcomes([row, row.model_copy(update={"source": "there", "images": marks_of(task_of("there", seed=1))})])
    auto = Auto(FeatureInput((5,)))
    visible = []
    scored = replace(here, name=name, source=name)
    monkeypatch.setattr(
        auto, "sample_randomness", lambda *_: visible.append(auto.outcomes) or {"seed": torch.tensor([0])}
    )
    protocol = Protocol(episodes=1, shots=(2,), baseline="auto")
    evaluate({"auto": auto}, [scored], protocol)
    assert {outcome.source for outcome in visible[0]} >= {"there"}
    assert "here" not in {outcome.source for outcome in visible[0]}
    assert auto.outcomes is None


def test_a_run_of_ones_own_is_not_taken_for_what_comes_with_medshot(own: Path, tmp_path: Path):
    learner = create("logistic", input_spec=FeatureInput((5,)))
    assert takes_of(learner) == "features"
    learner.training_record = object()
    assert takes_of(learner) == "features, meta-trained"


def test_a_run_and_the_learner_of_its_name_are_both_evaluated(tmp_path: Path):
    shape = FeatureInput((5,))
    create("logistic", input_spec=shape).save(tmp_path / "run")
    assert list(make_and_load([tmp_path / "run"], ["logistic"], shape)) == ["logistic", "logistic (as it comes)"]


def test_a_learner_is_on_the_device_of_its_parameters():
    auto = Auto(FeatureInput((5,))).to("meta")
    assert device_of(auto).type == "meta"
    assert device_of(create("logistic", input_spec=FeatureInput((5,)))).type == "cpu"
