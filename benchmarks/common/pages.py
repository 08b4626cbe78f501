"""Pages of the documentation that benchmarks write, whole from a template or in part."""

import re
import textwrap
from pathlib import Path

from medshot.storage import write_bytes

WIDTH = 120
READING = Path(__file__).with_name("how_to_read.md")
INDEX = Path(__file__).with_name("index.md")
ORDER = (
    "learners-features",
    "learners-pixels",
    "volumes-slices",
    "volumes-voxels",
    "metal-on-pixels",
    "left-out",
    "encoder-training",
    "labels-saved",
    "active-learning",
    "several-images",
    "ecg",
    "scans",
    "speed",
)
SHORT = "**In short:** "
NOT_PROSE = ("|", "#", "![", "<!--", "```", "    ")
GLUE = "\x00"


def write_page(path: Path, template: Path, *, baseline: str = "", **fields: str | int) -> None:
    """Write a page of results from a Markdown template.

    Args:
        path: of the page.
        template: with a placeholder for each field, and for `how_to_read` if the page has tables of scores.
        baseline: of the differences, for `how_to_read`.
        fields: text, numbers and tables.
    """
    how_to_read = READING.read_text().strip().format(baseline=baseline)
    text = template.read_text().format(how_to_read=how_to_read, **fields)
    path.parent.mkdir(parents=True, exist_ok=True)
    write_bytes(path, (filled(text) + "\n").encode())
    write_index(path.parents[1])


def replace_part(page: Path, name: str, text: str) -> None:
    """Put `text` between the markers of part `name`, at the end of the page if it has none."""
    start, end = f"<!-- {name}: begin -->", f"<!-- {name}: end -->"
    content = page.read_text() if page.exists() else ""
    before, found, rest = content.partition(start)
    after = rest.partition(end)[2] if found else "\n"
    head = before if found or not before else f"{before.rstrip()}\n\n"
    page.parent.mkdir(parents=True, exist_ok=True)
    write_bytes(page, f"{head}{start}\n\n{filled(text)}\n\n{end}{after}".encode())


def write_index(docs: Path) -> None:
    """Write the page that lists all pages of results with their answers."""
    lines = []
    for name in ORDER:
        page = docs / "results" / f"{name}.md"
        if page.exists():
            title, _, answer = page.read_text().split("\n\n")[:3]
            lines.append(f"* [{title.removeprefix('# ')}](results/{name}.md): {answer.removeprefix(SHORT)}")
    text = INDEX.read_text().format(pages="\n".join(lines))
    write_bytes(docs / "results.md", (filled(text) + "\n").encode())


def filled(text: str) -> str:
    """Return text with its paragraphs and lists in lines of at most 120 characters; tables and code stay."""
    return "\n\n".join(map(_fill, (block for block in text.strip().split("\n\n") if block.strip())))


def _fill(block: str) -> str:
    if block.startswith(NOT_PROSE):
        return block
    if block.startswith("* "):
        return "\n".join(_wrap(f"* {item}", "  ") for item in block.removeprefix("* ").split("\n* "))
    return _wrap(block)


def _wrap(text: str, indent: str = "") -> str:
    """Return text in lines; code and links are not broken."""
    text = re.sub(r"`[^`]*`|\[[^]]*\]\([^)]*\)", lambda found: found[0].replace(" ", GLUE), " ".join(text.split()))
    lines = textwrap.fill(text, WIDTH, subsequent_indent=indent, break_long_words=False, break_on_hyphens=False)
    return lines.replace(GLUE, " ")
