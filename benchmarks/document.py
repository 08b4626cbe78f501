"""Parts of a documentation page that scripts write, each between markers of its own."""

from pathlib import Path
from typing import Any

from medshot.storage import write_bytes


def replace_part(page: Path, name: str, text: str) -> None:
    """Put `text` between the markers of part `name`; at the end of the page where they are not there yet."""
    start, end = f"<!-- {name}: begin -->", f"<!-- {name}: end -->"
    content = page.read_text() if page.exists() else ""
    before, found, rest = content.partition(start)
    after = rest.partition(end)[2] if found else "\n"
    head = before if found or not before else f"{before.rstrip()}\n\n"
    write_bytes(page, f"{head}{start}\n\n{text.strip()}\n\n{end}{after}".encode())


def rounded(value: Any) -> Any:
    """The same objects with floats of five decimals, which is more than the intervals allow to be read."""
    match value:
        case float():
            return round(value, 5)
        case dict():
            return {name: rounded(inner) for name, inner in value.items()}
        case list():
            return [rounded(inner) for inner in value]
        case _:
            return value
