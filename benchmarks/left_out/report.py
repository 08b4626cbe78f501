"""The pages on left-out data sets, from the results of `run`."""

from pathlib import Path

from benchmarks.common.arguments import Places
from benchmarks.common.pages import write_page
from benchmarks.common.results import load, load_results
from benchmarks.common.tables import data_set_sections, markdown, means_table

BASELINE = "logistic regression on the last features of Lite0"


def write_report(places: Places) -> None:
    """Write the three pages: left-out data sets, how to train the encoder, labels saved."""
    results, found = load_results(places, "left-out"), load(places, "left-out-tables")
    command, folder, templates = results.metadata.command, places.docs / "results", Path(__file__).parent
    at_five = next(row for row in found["verdict"]["rows"] if row[0] == "5")
    write_page(
        folder / "left-out.md",
        templates / "left-out.md",
        baseline=BASELINE,
        baseline_name=BASELINE,
        command=command,
        lead=at_five[1].lstrip("▲▼").partition(" ")[0],
        better=at_five[2],
        worse=at_five[3],
        data_sets=at_five[4],
        shown="shown" if at_five[5].startswith("▲") else "not shown",
        verdict=markdown(found["verdict"]),
        means=markdown(means_table(results, 5, verdicts_at=5, first="Learner, features")),
        regret=markdown(found["regret"]),
        pages=markdown(found["pages"]),
        tables=data_set_sections(results),
    )
    trainings = [row for row in found["ablation"]["rows"] if row[0] != "logistic, lite0"]
    beat = sum("▲" in f"{row[2]}{row[4]}{row[6]}" for row in trainings)
    write_page(
        folder / "encoder-training.md",
        templates / "encoder-training.md",
        baseline="logistic regression on Lite0's features",
        command=command,
        beat=beat or "none",
        trainings=len(trainings),
        verb="are" if beat > 1 else "is",
        best=trainings[0][0],
        lead=trainings[0][4].partition(" ")[0],
        names=", ".join(found["ablated"]),
        ablation=markdown(found["ablation"]),
    )
    needed = [row[2] for row in found["saved"]["rows"]]
    write_page(
        folder / "labels-saved.md",
        templates / "labels-saved.md",
        command=command,
        more=sum(each.startswith("not") or float(each.split()[0]) > 5 for each in needed),
        data_sets=len(needed),
        saved=markdown(found["saved"]),
    )
