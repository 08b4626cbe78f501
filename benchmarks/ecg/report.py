"""The page on preparing ECG pages, from the results of `run`."""

import re
from pathlib import Path

from benchmarks.common.arguments import Places
from benchmarks.common.pages import replace_part, write_page
from benchmarks.common.results import load
from benchmarks.common.tables import markdown

BUILT_IN = "leads apart, side by side, and beats drawn"
TITLES = {
    "real": "Real pages (`ecg_12lead_images`, 491 patients, 4 classes)",
    "simulated": "Pages of a simulated hospital",
    "logistic": "logistic regression",
    "protonet": "prototypes",
    "ridge": "ridge regression",
}


def write_report(places: Places) -> None:
    """Write the page, and its summary into docs/ecg.md."""
    found = load(places, "ecg")
    tables = found["tables"]
    parts = [
        f"## {', '.join(TITLES[part] for part in name.split(', '))}\n\n{markdown(table)}"
        for name, table in tables.items()
    ]
    first = next(iter(tables.values()))
    cells = (next(row for row in first["rows"] if row[0] == name)[-1] for name in ("page as it is", BUILT_IN))
    before, after = (re.findall(r"[\d.]+", cell)[0] for cell in cells)
    answer = (
        f"with {first['header'][-1]} and logistic regression, `--cut leads` raises balanced accuracy from {before} % "
        f"for the page as it is to {after} %."
    )
    write_page(
        places.docs / "results" / "ecg.md",
        Path(__file__).with_name("ecg.md"),
        answer=answer,
        command=found["command"],
        built_in=BUILT_IN,
        tables="\n\n".join(parts),
    )
    replace_part(places.docs / "ecg.md", "numbers", "All tables: [results/ecg.md](results/ecg.md).")
