"""The language of the library: docstrings start with a verb, and words that need decoding are nowhere."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
MODULES = sorted((ROOT / "src" / "medshot").rglob("*.py"))
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").glob("*.md"))]

START = re.compile(r"(Of|What|Which|Whose|Who|By|How|Where|Those|That)\b")
# "There is no such file" and "is no longer" are plain English; "'x' is no learner" is not
BANNED = re.compile(
    r"\b(anew|dealt|unknowing|strangers|whatever|of which|(?<!there )is no (?!longer\b|more\b))", re.IGNORECASE
)


def docstrings(tree: ast.Module) -> Iterator[tuple[int, str]]:
    """Yield the line and the text of every docstring."""
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef | ast.Module):
            text = ast.get_docstring(node)
            if text is not None:
                yield getattr(node, "lineno", 1), text


def texts(tree: ast.Module) -> Iterator[tuple[int, str]]:
    """Yield the line and the text of every string, with docstrings and the fixed parts of f-strings."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and isinstance(node.value, str):
            yield node.lineno, node.value


@pytest.mark.parametrize("path", MODULES, ids=lambda path: str(path.relative_to(ROOT / "src")))
def test_a_docstring_starts_with_a_verb_or_names_the_thing(path: Path) -> None:
    wrong = [
        f"line {line}: {text.splitlines()[0]}"
        for line, text in docstrings(ast.parse(path.read_text()))
        if START.match(text)
    ]
    assert not wrong


@pytest.mark.parametrize("path", [*MODULES, *PAGES], ids=lambda path: str(path.relative_to(ROOT)))
def test_words_that_need_decoding_are_nowhere(path: Path) -> None:
    content = path.read_text()
    found = texts(ast.parse(content)) if path.suffix == ".py" else enumerate(content.splitlines(), start=1)
    wrong = [
        f"line {line}: {match[0]!r} in {text.strip()[:80]!r}"
        for line, text in found
        if not text.startswith("|")  # a row of a table, such as that of wrong and right sentences in CONTRIBUTING.md
        for match in BANNED.finditer(" ".join(text.split()))
    ]
    assert not wrong


def test_the_rule_finds_what_it_forbids() -> None:
    assert BANNED.search("'logistc' is no learner")
    assert not BANNED.search("There is no learner 'logistc', and the loss is no longer finite.")
    assert START.match("Whose it is")
    assert not START.match("Whether it is")
