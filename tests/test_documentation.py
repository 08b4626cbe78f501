"""The documentation is true: its pages are up to date, its code runs, its commands work."""

import importlib.util
import json
import os
import re
import shlex
import subprocess
import sys
import tomllib
from importlib.metadata import EntryPoint
from pathlib import Path

import pytest
import typer
from command_line import medshot, write_ward
from small_learners import registrations_undone

import medshot as package
from medshot.cli.main import app
from medshot.learners import LEARNERS
from medshot.learners.registry import BUILT_IN, GROUP
from medshot.simulated import simulate

CHECKOUT = Path(__file__).parents[1]
DOCS = CHECKOUT / "docs"
README = (CHECKOUT / "README.md").read_text(encoding="utf-8")
OWN = (DOCS / "your-own-learner.md").read_text(encoding="utf-8")


def blocks(language: str, page: str = OWN) -> list[str]:
    """Return the code blocks of that language in a page."""
    found = re.findall(r"^```(\w*)\n(.*?)^```$", page, re.MULTILINE | re.DOTALL)
    return [text for named, text in found if named == language]


def commands(program: str, page: str = OWN) -> list[list[str]]:
    """Return the words of every command of this program in a page; lines that end in a backslash are joined."""
    lines = [line for block in blocks("", page) for line in block.replace("\\\n", " ").splitlines()]
    return [shlex.split(line) for line in lines if line.startswith(program)]


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


@pytest.mark.parametrize("page", sorted([CHECKOUT / "README.md", *DOCS.glob("*.md")]), ids=lambda page: page.name)
def test_every_command_of_a_page_has_the_options_that_it_names(page):
    parser = typer.main.get_command(app)
    for _, *words in commands("medshot ", page.read_text(encoding="utf-8")):
        if words[0].startswith("--"):
            assert words[0] in {option for each in parser.params for option in each.opts} | {"--help"}
            continue
        parser.commands[words[0]].make_context(words[0], words[1:])  # raises UsageError for an unknown option


def test_the_readme_names_no_option_that_no_command_has():
    parser = typer.main.get_command(app)
    every = [parser, *parser.commands.values()]
    known = {option for command in every for each in command.params for option in (*each.opts, *each.secondary_opts)}
    of_pip = {"--index-url", "--no-deps", "--version", "--help"}
    assert set(re.findall(r"(?<![\w-])--[a-z][a-z-]+", README)) <= known | of_pip


@pytest.mark.slow
@pytest.mark.timeout(1200)
def test_the_first_five_minutes_of_the_readme_work(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    section = README.partition("## Five minutes")[2].partition("\n## ")[0]
    wanted = commands("medshot ", section)
    assert [words[1] for words in wanted] == ["check", "adapt", "predict", "evaluate"]
    for _, *words in [["medshot", "quickstart"], *wanted]:
        assert medshot(*words) == 0, capsys.readouterr().err
    for block in blocks("python", section):
        exec(compile(block, "README.md", "exec"), {})
    header, *rows = Path("predictions.csv").read_text().splitlines()
    assert len(rows) == 20
    excerpt = README.partition("| image |")[2].partition("\n\n")[0].splitlines()
    names = [name.strip() for name in f"image |{excerpt[0]}".strip("| ").split("|")]
    assert header.split(",")[: len(names)] == names
    shown = {line.split("|")[1].strip(): line.split("|")[2].strip() for line in excerpt[2:]}
    assert shown.items() <= {Path(row.split(",")[0]).name: row.split(",")[1] for row in rows}.items()
    results = json.loads(Path("evaluation/results.json").read_text())
    assert {row["learner"] for row in results["rows"]} == {"auto", "logistic"}
    assert {path.name for path in Path("checked").iterdir()} >= {"report.html"}


def test_the_page_of_python_lists_what_the_package_provides():
    page = (DOCS / "python.md").read_text(encoding="utf-8")
    listed = re.findall(r"^\| `(\w+)` \|", page, re.MULTILINE)
    assert sorted([*listed, "__version__"]) == sorted(package.__all__)
    assert "`__version__`" in page


def test_the_index_of_the_documentation_lists_every_page():
    index = (DOCS / "README.md").read_text(encoding="utf-8")
    linked = set(re.findall(r"\]\(([\w-]+\.md)\)", index))
    assert linked == {page.name for page in DOCS.glob("*.md")} - {"README.md"}


@pytest.mark.parametrize("page", sorted([CHECKOUT / "README.md", *DOCS.glob("*.md")]), ids=lambda page: page.name)
def test_links_of_a_page_lead_to_files(page):
    for target in re.findall(r"\]\(([^)#\s]+)[^)]*\)", page.read_text(encoding="utf-8")):
        assert target.startswith("http") or (page.parent / target).exists(), target
