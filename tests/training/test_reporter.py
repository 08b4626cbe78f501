"""The history of resumed training: events after the checkpoint are deleted, damage is refused."""

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from medshot.errors import StorageError
from medshot.training import Reporter
from medshot.training.reporter import EVENTS


def go_on(folder: Path, step: int) -> None:
    """Report the first event of resumed training."""
    with Reporter(10, folder, show=False) as reporter:
        reporter({"kind": "start", "step": step})


def history(folder: Path, steps: int, ending: bytes = b"") -> bytes:
    """Write the events of so many steps, and `ending` after them."""
    content = b"".join(
        json.dumps({"kind": "step", "step": n, "loss": 1.5}).encode() + b"\n" for n in range(1, steps + 1)
    )
    (folder / EVENTS).write_bytes(content + ending)
    return content + ending


@given(steps=st.integers(0, 6), checkpoint=st.integers(0, 6), torn=st.integers(0, 20))
def test_only_steps_up_to_the_checkpoint_are_kept_after_any_kill(tmp_path_factory, steps, checkpoint, torn):
    folder = tmp_path_factory.mktemp("run")
    history(folder, steps, json.dumps({"kind": "step", "step": steps + 1, "loss": 1.5}).encode()[:torn])
    go_on(folder, checkpoint)
    events = [json.loads(line) for line in (folder / EVENTS).read_text().splitlines()]
    assert [event["step"] for event in events if event["kind"] == "step"] == list(range(1, min(steps, checkpoint) + 1))
    assert events[-1] == {"kind": "start", "step": checkpoint}


@pytest.mark.parametrize("damage", [b"\xff\xfe", b"{", b"3", b"null", b'{"kind": "step"}', b'{"step": "two"}', b""])
def test_a_damaged_line_among_others_is_refused_and_nothing_is_lost(tmp_path, damage):
    path, content = tmp_path / EVENTS, history(tmp_path, 2)
    path.write_bytes(damaged := damage + b"\n" + content)
    with pytest.raises(StorageError, match=r"events\.jsonl is damaged at line 1; "):
        go_on(tmp_path, 2)
    assert path.read_bytes() == damaged
