"""Shipped files for choosing learners: weights, outcomes and an encoder."""

from dataclasses import replace
from pathlib import Path

import pytest
import torch
from PIL import Image

from medshot.encoders import ENCODERS, EncodedInput
from medshot.encoders import folder as encoders_folder
from medshot.errors import InputError
from medshot.evaluation import refuse_overlap
from medshot.imaging import FeatureInput
from medshot.learners import create
from medshot.learners import creation as shipped
from medshot.selection.auto import Auto
from medshot.selection.outcomes import SHIPPED, known_outcomes
from medshot.simulated import simulate
from medshot.tasks import load_tasks, training_images

LARGEST = 20 * 2**20


LEARNED = ("depth-ridge", "even-ridge")


@pytest.mark.parametrize("name", LEARNED)
def test_what_learners_start_from_was_learned(name: str):
    prior = shipped.shipped_weights(name)
    fresh = create(name, input_spec=FeatureInput((4,) * len(prior["log_weights"]))).state_dict()
    assert all(not torch.equal(value, fresh[key]) for key, value in prior.items())


def test_there_are_outcomes_for_every_candidate_of_auto():
    assert SHIPPED.stat().st_size
    tried = {(row.learner, row.takes) for row in known_outcomes()}
    for encoder in ("lite0", "+".join(ENCODERS)):
        assert set(Auto(EncodedInput(encoder)).keys) <= tried


def test_the_encoder_is_small_and_has_its_licence_and_its_card():
    home = Path(encoders_folder.__file__).parent / "medical"
    assert sum(path.stat().st_size for path in home.iterdir()) < LARGEST
    assert "CC BY-SA 4.0" in (home / "LICENSE").read_text()
    assert "not a medical device" in (home / "MODEL_CARD.md").read_text()
    assert len(ENCODERS["medical"].training_images()["hashes"]) > 10_000
    assert ENCODERS["lite0"].training_images is None


@pytest.mark.parametrize("cut", ["whole", pytest.param("leads", marks=pytest.mark.slow)])
def test_nor_is_a_smaller_copy_of_it(cut: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    learned_from = simulate("ecg", seed=1, patients=2, size=256)
    monkeypatch.setattr(
        shipped, "shipped_images", lambda: training_images([learned_from], ENCODERS["lite0"].input_spec)
    )
    pixels = learned_from.images.pixels(ENCODERS["lite0"].input_spec)
    for number, (picture, label) in enumerate(zip(pixels[learned_from.rows], learned_from.labels, strict=True)):
        folder = tmp_path / "copies" / str(label)
        folder.mkdir(parents=True, exist_ok=True)
        Image.fromarray(picture.transpose(1, 2, 0)).resize((180, 180)).save(folder / f"{number}.png")
    (copies,) = load_tasks(tmp_path / "copies")
    with pytest.raises(InputError, match=r"0 identical, \d+ near-duplicates"):
        refuse_overlap(create("depth-ridge", input_spec=EncodedInput("lite0", cut)), [copies])


@pytest.mark.parametrize("name", ["auto", *LEARNED])
@pytest.mark.parametrize("cut", ["whole", pytest.param("leads", marks=pytest.mark.slow)])
def test_what_the_start_was_learned_from_is_no_test_of_it(name: str, cut: str, monkeypatch: pytest.MonkeyPatch):
    learned_from = simulate("brain", seed=1, patients=3, size=40)
    monkeypatch.setattr(
        shipped, "shipped_images", lambda: training_images([learned_from], ENCODERS["lite0"].input_spec)
    )
    learner = create(name, input_spec=EncodedInput("lite0", cut))
    with pytest.raises(InputError, match=f"shares {len(learned_from)} of its {len(learned_from)} images"):
        refuse_overlap(learner, [replace(learned_from, name="another", source="another")])
    refuse_overlap(learner, [simulate("chest", seed=2, patients=3, size=40)])
