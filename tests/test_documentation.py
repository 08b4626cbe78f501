"""The documentation is true: its pages are up to date, its code runs, its commands work."""

import importlib.util
import os
import re
import shlex
import subprocess
import sys
import tomllib
from importlib.metadata import EntryPoint
from pathlib import Path

import pytest
from command_line import medshot, write_ward
from small_learners import registrations_undone

from medshot.learners import LEARNERS
from medshot.learners.registry import BUILT_IN, GROUP
from medshot.simulated import simulate

CHECKOUT = Path(__file__).parents[1]
DOCS = CHECKOUT / "docs"
OWN = (DOCS / "your-own-learner.md").read_text(encoding="utf-8")


def blocks(language: str) -> list[str]:
    """Return the code blocks of that language in docs/your-own-learner.md."""
    found = re.findall(r"^```(\w*)\n(.*?)^```$", OWN, re.MULTILINE | re.DOTALL)
    return [text for named, text in found if named == language]


def commands(program: str) -> list[list[str]]:
    """Return the words of every command of this program in its blocks."""
    return [shlex.split(line) for block in blocks("") for line in block.splitlines() if line.startswith(program)]


@pytest.fixture
def own_learner(tmp_path, monkeypatch):
    """Save the learner of the page under the page's name; undo its registration after the test."""
    monkeypatch.chdir(tmp_path)
    (text,) = blocks("python")
    path = tmp_path / "my_learner.py"
    path.write_text(text, encoding="utf-8")
    with registrations_undone():
        yield path


def test_the_page_of_learners_is_up_to_date():
    spec = importlib.util.spec_from_file_location("learners_table", DOCS / "learners_table.py")
    script = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(script)
    written = script.PAGE.read_text(encoding="utf-8")
    assert written == script.page(), "run: python docs/learners_table.py"
    for name, source in re.findall(r"^\| \[`(.*?)`\]\((.*?)\)", written, re.MULTILINE):
        assert f'name = "{name}"' in (DOCS / source).read_text(encoding="utf-8")
    assert written.count("](../src/") == len(BUILT_IN) + 1  # auto, which is announced by an entry point


def test_the_learner_of_the_page_takes_forty_lines():
    (text,) = blocks("python")
    assert len([line for line in text.splitlines() if line.strip()]) <= 40


def test_the_commands_of_the_page_work_on_its_learner(own_learner, capsys):
    small = {
        "meta-train": ["--steps", "2", "--shots", "1,2", "--queries", "2", "--ways", "2", "--engine", "vmap"],
        "evaluate": ["--shots", "1,2", "--episodes", "2", "--queries", "3"],
    }
    for number in range(2):
        write_ward(Path("tasks"), simulate("brain", seed=number, patients=8, size=32))
    write_ward(Path("held_out"), simulate("spine_mri", seed=7, patients=6, size=32)).rename("held_out/ward")
    ran = []
    for _, *words in commands("medshot "):
        ran.append(words[2])
        assert medshot(*words, *small.get(ran[-1], [])) == 0, capsys.readouterr().err
    assert ran == ["learners", "meta-train", "evaluate", "adapt", "predict"]
    assert "shrinkage-lda" in capsys.readouterr().out
    assert {path.name for path in Path("evaluation").iterdir()} >= {"results.json", "report.html"}


def test_the_entry_point_of_the_page_gives_its_learner(own_learner, monkeypatch):
    (text,) = blocks("toml")
    ((name, value),) = tomllib.loads(text)["project"]["entry-points"][GROUP].items()
    package, module = value.partition(":")[0].split(".")
    Path(package).mkdir()
    own_learner.rename(Path(package) / f"{module}.py")
    monkeypatch.syspath_prepend(Path.cwd())
    learner = EntryPoint(name, value, GROUP).load()
    assert learner.name == name
    assert LEARNERS[name] is learner


@pytest.mark.slow
def test_the_learner_of_the_page_obeys_the_laws(own_learner):
    ((setting, _, *words),) = commands("MEDSHOT_IMPORT=")
    variable, _, file = setting.partition("=")
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", *words],
        cwd=CHECKOUT,
        env=os.environ | {variable: str(own_learner.with_name(file))},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stdout
    passed, out_of = (int(re.search(rf"(\d+) {word}", done.stdout)[1]) for word in ("passed", "deselected"))
    assert 10 <= passed < out_of
