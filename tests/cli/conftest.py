from pathlib import Path

import pytest
from command_line import PIXELS, medshot, write_ward
from small_tasks import textured


@pytest.fixture
def ward(tmp_path: Path) -> Path:
    """Return a folder with one task of two classes, four images each."""
    return write_ward(tmp_path, textured(1, patients=4))


@pytest.fixture
def model(tmp_path: Path, ward: Path, capsys: pytest.CaptureFixture) -> Path:
    """Return a model folder of the baseline, fitted on the ward."""
    assert medshot("adapt", ward, "--learner", "logistic", *PIXELS, "--out", tmp_path / "model") == 0
    capsys.readouterr()
    return tmp_path / "model"
