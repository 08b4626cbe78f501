"""Lines on stderr: one whenever a while has passed, no number before it is measured, all within 80 columns."""

import io
import re
import threading

import pytest
from rich.console import Console

from medshot import progress
from medshot.progress import Work, printing, tracked


def printed_while_waiting(monkeypatch, capsys) -> str:
    """Wait until a line was printed that nobody asked for, and return what was printed."""
    printed = threading.Event()
    note = progress.note

    def noted(text: str) -> None:
        note(text)
        printed.set()

    monkeypatch.setattr(progress, "note", noted)
    assert printed.wait(timeout=60)
    return capsys.readouterr().err


def test_silence_is_broken_by_a_line(monkeypatch, capsys):
    monkeypatch.setattr(progress, "PERIOD", 0.01)
    with printing("adapt"):
        assert re.match(r"adapt is working, \d+ s passed\n", printed_while_waiting(monkeypatch, capsys))


def test_the_line_names_the_work_in_hand(monkeypatch, capsys):
    monkeypatch.setattr(progress, "PERIOD", 0.01)
    with printing(), progress.progress("reading images", 40) as advance:
        advance(3)
        assert "reading images: 3 of 40, " in printed_while_waiting(monkeypatch, capsys)


def test_the_period_is_below_ten_seconds():
    assert progress.PERIOD < 10


def test_quiet_starts_no_thread_and_the_state_is_restored(capsys):
    before = threading.active_count()
    with printing(quiet=True):
        progress.note("unheard")
        assert threading.active_count() == before
    progress.note("heard")
    assert capsys.readouterr().err == "heard\n"


@pytest.mark.parametrize("done", [0, 7, 600])
def test_nothing_unknown_is_printed(done):
    work = Work("meta-training", 600)
    work(done)
    line = work.describe()
    assert line.startswith(f"meta-training: {done} of 600, ")
    assert "nan" not in line
    assert ("left" in line) == (0 < done < 600)


def test_work_that_was_done_before_does_not_count_in_the_time_left():
    work = Work("meta-training", 600)
    work.skip(500)
    assert "left" not in work.describe()
    work(1)
    assert "501 of 600" in work.describe()
    assert "left" in work.describe()


def test_the_bar_fits_into_80_columns_with_the_time_left():
    work = Work("meta-training", 10_000)
    work(1234, "loss 0.693, accuracy 50%")
    bar = progress._bar_of(work)
    file = io.StringIO()
    console = Console(file=file, width=80, force_terminal=True, color_system=None)
    console.print(bar.get_renderable())
    (line,) = file.getvalue().rstrip("\n").split("\n")
    assert re.search(r"1234/10000 left (-:--:--|\d:\d\d:\d\d)", line)
    assert "loss 0.693" in line
    assert "nan" not in line


def test_tracked_yields_every_item():
    assert list(tracked([3, 1, 2], "counting")) == [3, 1, 2]
