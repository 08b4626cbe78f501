"""`medshot next` on real films; most patients have several."""

import csv
import io

import pytest
from command_line import medshot
from small_tasks import write_manifest


@pytest.mark.slow
def test_films_to_label_are_of_as_many_patients_none_of_whom_is_labelled(shared_data, tmp_path, capsys):
    folder = shared_data / "cxr_nih1000"
    with (folder / "task.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))[::8]
    known = {row["patient"] for row in rows[:3]} | {row["patient"] for row in rows[-3:]}
    labelled = [[str(folder / row["image"]), row["label"], row["patient"]] for row in rows if row["patient"] in known]
    others = [[str(folder / row["image"]), row["patient"]] for row in rows if row["patient"] not in known]
    patient_of = dict(others)
    assert len(set(patient_of.values())) < len(others)
    task = write_manifest(tmp_path / "task.csv", [["image", "label", "patient"], *labelled])
    pool = write_manifest(tmp_path / "pool.csv", [["image", "patient"], *others])
    assert medshot("adapt", task, "--learner", "logistic", "--out", tmp_path / "model") == 0
    capsys.readouterr()
    for strategy in ("learned", "typical"):
        assert medshot("next", tmp_path / "model", pool, "--strategy", strategy, "--count", 12) == 0
        found = [row["image"] for row in csv.DictReader(io.StringIO(capsys.readouterr().out))]
        assert len({patient_of[image] for image in found}) == len(found) == 12
