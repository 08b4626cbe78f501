"""Folders that version 0.1.0 wrote before its modules were moved still load, resume and predict the same.

tests/saved/README.md says how the files were made.
"""

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from safetensors.numpy import load_file

import medshot
from medshot.evaluation import Protocol, Results
from medshot.training import BatchSettings, OuterSettings

SAVED = Path(__file__).parent / "saved"
INPUTS = load_file(SAVED / "inputs.safetensors")
EXPECTED = load_file(SAVED / "expected.safetensors")
RUNS = sorted(path.name for path in (SAVED / "trained").iterdir())
MODELS = sorted(path.name for path in (SAVED / "models").iterdir())


@pytest.fixture(autouse=True)
def _overshoots(monkeypatch):
    """Keep the step of METAL's early stop after which the loss rose, as version 0.1.0 did."""
    monkeypatch.setattr("medshot.learners.gradient.base.step_back", lambda previous, parameters, rose: parameters)


def kind_of(name: str) -> str:
    """Return the kind of inputs that a run or model of that name takes."""
    return {"volumes": "volumes", "table": "table"}.get(name.rpartition("_")[2], "pictures")


def fitted(learner: str | Path, kind: str) -> medshot.FewShotClassifier:
    images = INPUTS[kind]
    labels, patients = (INPUTS[name][: len(images)] for name in ("labels", "patients"))
    return medshot.FewShotClassifier(learner).fit(images, labels, groups=patients)


def record(path: Path) -> dict[str, Any]:
    """Read a JSON record without the version of medshot that wrote it."""
    content = json.loads(path.read_text(encoding="utf-8"))
    assert content.pop("version")
    return content


def check(found: np.ndarray, name: str) -> None:
    # The features of an encoder differ by rounding between processors.
    tolerance = 1e-5 if name.endswith(("lite0", "images")) else 1e-6
    np.testing.assert_allclose(found, EXPECTED[name], atol=tolerance, rtol=0)


def leaves(value: Any, path: str = "") -> dict[str, Any]:
    """Return the values in nested objects and lists, by their paths."""
    if not isinstance(value, dict | list):
        return {path: value}
    items = value.items() if isinstance(value, dict) else enumerate(value)
    return {name: leaf for key, each in items for name, leaf in leaves(each, f"{path}/{key}").items()}


def with_intervals_that_agree(value: Any) -> Any:
    """The same results of 3 episodes, with intervals for new patients that contain those over episodes.

    In version 0.1.0 they did not, and the interval of equal episodes counted episodes rather than patients.
    """
    if isinstance(value, list):
        return [with_intervals_that_agree(each) for each in value]
    if not isinstance(value, dict):
        return value
    if "over_episodes" not in value:
        return {name: with_intervals_that_agree(each) for name, each in value.items()}
    over_episodes, (low, high) = value["over_episodes"], value["new_patients"]
    if value["value"] == 1 and over_episodes[0] == pytest.approx(0.025 ** (1 / 3)):
        over_episodes = [low, high]
    new_patients = [min(low, over_episodes[0]), max(high, over_episodes[1])]
    return value | {"over_episodes": over_episodes, "new_patients": new_patients}


@pytest.mark.parametrize("name", [name for name in RUNS if name in EXPECTED])
def test_a_run_adapts_and_predicts_the_same(name):
    kind = kind_of(name)
    check(fitted(SAVED / "trained" / name, kind).predict_proba(INPUTS[f"new_{kind}"]), name)


@pytest.mark.parametrize("name", MODELS)
def test_a_model_predicts_the_same(name):
    model = medshot.load(SAVED / "models" / name)
    new = INPUTS[f"new_{kind_of(name)}"]
    check(model.predict_proba(new), name)
    assert len(model.warnings(new)) == len(new)


@pytest.mark.parametrize("name", RUNS)
def test_a_run_is_written_again_as_it_was(tmp_path, name):
    medshot.load_learner(SAVED / "trained" / name).save(tmp_path / "run")
    assert record(tmp_path / "run" / "run.json") == record(SAVED / "trained" / name / "run.json")


@pytest.mark.parametrize("name", MODELS)
def test_a_model_is_written_again_as_it_was(tmp_path, name):
    medshot.load(SAVED / "models" / name).save(tmp_path / "model")
    assert record(tmp_path / "model" / "model.json") == record(SAVED / "models" / name / "model.json")


def test_an_unfinished_run_resumes_and_ends_with_the_same_parameters(tmp_path):
    shutil.copytree(SAVED / "unfinished" / "run", tmp_path / "run")
    learner = medshot.load_learner(SAVED / "unfinished" / "start")
    settings = OuterSettings(
        steps=3,
        learning_rate=0.01,
        validation_batches=1,
        batch=BatchSettings(tasks=2, ways=2, shots=(1,), queries=1),
    )
    steps = []
    learner.meta_fit(
        medshot.load_tasks(SAVED / "tasks"),
        settings=settings,
        folder=tmp_path / "run",
        resume=True,
        engine="loop",
        report=lambda event: steps.append(event["step"]) if event["kind"] == "step" else None,
    )
    assert steps == [2, 3]
    expected = load_file(SAVED / "unfinished" / "end.safetensors")
    found = {name: value.numpy() for name, value in learner.state_dict().items()}
    assert found.keys() == expected.keys()
    for name, value in expected.items():
        np.testing.assert_allclose(found[name], value, atol=1e-6, rtol=0, err_msg=name)


def test_auto_reads_the_outcomes_of_an_earlier_evaluation(tmp_path, monkeypatch):
    log = shutil.copyfile(SAVED / "outcomes.jsonl", tmp_path / "outcomes.jsonl")
    check(fitted("auto", "table").predict_proba(INPUTS["new_table"]), "auto_table")
    monkeypatch.setenv("MEDSHOT_OUTCOMES", str(log))
    check(fitted("auto", "table").predict_proba(INPUTS["new_table"]), "auto_with_outcomes")


def test_an_evaluation_gives_the_same_results():
    saved = json.loads((SAVED / "results.json").read_text(encoding="utf-8"))
    assert Results.from_json(saved).to_json() == saved
    learners = {name: medshot.load_learner(SAVED / "trained" / f"{name}_pixels") for name in ("metal", "logistic")}
    protocol = Protocol(shots=(1, 3), episodes=3, queries=5)
    results, _ = medshot.evaluate(learners, medshot.load_tasks(SAVED / "held_out.npz"), protocol)
    found, expected = leaves(results.to_json()), leaves(with_intervals_that_agree(saved))
    assert found.keys() >= expected.keys()
    for path, value in expected.items():
        if not path.startswith("/metadata") and not path.endswith("/adapt_seconds"):
            assert found[path] == (pytest.approx(value, abs=1e-6) if isinstance(value, float) else value), path
