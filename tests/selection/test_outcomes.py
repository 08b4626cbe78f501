"""The store of outcomes: shipped ones, the user's own, and damaged files."""

from pathlib import Path

import pytest
from test_auto_belief import KEYS, outcome

from medshot.errors import StorageError
from medshot.selection.outcomes import known_outcomes, record_outcomes, users_file, users_outcomes


@pytest.fixture
def own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("MEDSHOT_OUTCOMES", str(tmp_path / "new" / "mine.jsonl"))
    return users_file()


def test_recorded_outcomes_follow_the_shipped_ones(own: Path):
    before = known_outcomes()
    assert users_outcomes() == ()
    first, second = outcome(KEYS[0], 0.5), outcome(KEYS[1], 0.25, source="zwei, drei\n")
    record_outcomes([first])
    record_outcomes([second])
    assert users_outcomes() == (first, second)
    assert known_outcomes() == (*before, first, second)
    assert len(own.read_text().splitlines()) == 2


@pytest.mark.parametrize("content", ["{", "[1]", '{"source": "x"}', "\x00", '{"loss": NaN}'])
def test_a_damaged_file_is_named(own: Path, content: str):
    own.parent.mkdir()
    own.write_text(content)
    with pytest.raises(StorageError, match=r"mine\.jsonl is damaged; delete it"):
        known_outcomes()


def test_a_file_that_cannot_be_written_is_reported(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("MEDSHOT_OUTCOMES", str(tmp_path / "file" / "mine.jsonl"))
    with pytest.raises(StorageError, match="MEDSHOT_OUTCOMES"):
        record_outcomes([outcome(KEYS[0], 0.5)])


def test_outcomes_can_be_turned_off(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("MEDSHOT_OUTCOMES", "off")
    monkeypatch.chdir(tmp_path)
    before = known_outcomes()
    record_outcomes(before[:1])
    assert users_outcomes() == ()
    assert known_outcomes() == before
    assert list(tmp_path.iterdir()) == []
