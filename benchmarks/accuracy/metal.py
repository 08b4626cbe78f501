"""METAL on pixels: meta-train, hold whole data sets out, evaluate.

Every step is a `medshot` command, printed before it runs. With --resume, finished steps are skipped, and an unfinished
meta-training is resumed.
"""

import json
import shlex
import subprocess
import sys
from pathlib import Path
from typing import Any

from benchmarks.common.arguments import Places, make_parser, parse
from benchmarks.common.pages import write_page
from benchmarks.common.results import load, save
from benchmarks.common.tables import markdown, table, written
from medshot.evaluation import Results
from medshot.evaluation.results import Score
from medshot.reporting.wording import MARKS, decimal, findings, headline, points

NIH, KERMANY, LGG = "cxr_nih1000", "cxr_pneumonia_kermany", "lgg_mri_genomics"
ECG, SPINE, SKIN = "ecg_12lead_images", "spine_xray_scoliosis", "skin_ham10000_subset"
MEDNIST, JSRT, BRAIN = "medical_mnist_6class", "cxr_jsrt_nodule_lungmask", "brain_mri_4class"

RUNS = {
    "first": (NIH, KERMANY, LGG, ECG, SPINE, SKIN, MEDNIST),
    "second": (NIH, KERMANY, LGG, SKIN, MEDNIST, JSRT, BRAIN),
}
CANCER = ["--label", "finding", "--keep", "finding=malignant,normal"]
EVALUATIONS = (
    ("Lung cancer on chest X-ray: malignant against normal (JSRT)", "first", "lung_cancer", JSRT, CANCER),
    ("Lung nodule on chest X-ray: nodule against none (JSRT)", "first", "lung_nodule", JSRT, []),
    ("Brain-tumour type on MRI", "first", "brain", BRAIN, []),
    ("Heart disease on ECG pages", "second", "ecg", ECG, []),
    ("Spine deformity on X-ray: scoliosis", "second", "spine", SPINE, []),
)
REFERENCE = ["--encoder", "none", "--learners", "metal-reference,scratch,logistic", "--shots", "75", "--episodes", "1"]

HEADER = ["Task", "Shots", "Learner", "Balanced accuracy, %", "AUROC", "Brier", "ECE", "Difference, points"]


def main() -> None:
    parser = make_parser("accuracy.metal", __doc__)
    parser.add_argument("--steps", type=int, default=1200, help="outer steps of each meta-training")
    arguments = parse(parser)
    if arguments.report:
        write_report(arguments.places)
        return
    out, steps = arguments.out, 2 if arguments.quick else arguments.steps
    few = ["--shots", "1", "--episodes", "2"] if arguments.quick else []
    commands = [meta_train(name, sources, arguments.data, out, steps) for name, sources in RUNS.items()]
    sections = []
    for title, run, name, source, options in EVALUATIONS:
        command = ["evaluate", str(arguments.data / source), *options, "--from", str(out / run), *few]
        medshot([*command, "--out", str(out / name)], out / name)
        sections.append(section(title, out / name))
    if not arguments.quick:
        folder = out / "reference"
        medshot(["evaluate", str(arguments.data / JSRT), *CANCER, *REFERENCE, "--out", str(folder)], folder)
        title = "The reference preset: one draw of 75 patients per class for lung cancer (JSRT), 224 px"
        sections.append(section(title, folder))
    save(arguments.places, "metal-on-pixels", {"commands": commands, "sections": sections})
    write_report(arguments.places)


def meta_train(name: str, sources: tuple[str, ...], data: Path, runs: Path, steps: int) -> str:
    """Meta-train METAL on the sources, or resume it; return the command."""
    out = runs / name
    command = ["meta-train", *(str(data / source) for source in sources), "--out", str(out)]
    command += ["--encoder", "none", "--steps", str(steps), "--learning-rate", "0.003"]
    medshot(command + (["--resume"] if out.exists() else []), out / "run.json")
    return shlex.join(["medshot", *command])


def medshot(command: list[str], made: Path) -> None:
    """Run a medshot command unless its output exists."""
    if made.exists():
        return
    print("$", shlex.join(["medshot", *command]), flush=True)
    subprocess.run([str(Path(sys.executable).with_name("medshot")), *command], check=True, stdout=subprocess.DEVNULL)


def section(title: str, folder: Path) -> dict[str, Any]:
    """Return the findings and the table of one evaluation."""
    results = Results.from_json(json.loads((folder / "results.json").read_text()))
    return {
        "title": title,
        "headline": headline(results),
        "findings": findings(results),
        "rows": [cells(row) for row in results.rows],
        "notes": [f"`{results.metadata.command}`, {results.metadata.date}", *results.metadata.notes],
    }


def cells(row: Score) -> list[str]:
    """Return a row of the table."""
    numbers = [written(estimate, decimal) for estimate in (row.auroc, row.brier, row.calibration_error)]
    change = row.difference
    difference = f"{written(change, points).lstrip('▲▼')} {MARKS[change.verdict]}" if change else "baseline"
    return [row.task, str(row.shots), row.learner, written(row.balanced_accuracy), *numbers, difference]


def write_report(places: Places) -> None:
    """Write the page from the results."""
    found = load(places, "metal-on-pixels")
    verdicts = [row[-1].split()[-1] for each in found["sections"] for row in each["rows"] if row[2] == "metal"]
    sections = []
    for each in found["sections"]:
        sections += [f"## {each['title']}", each["headline"], "\n".join(f"* {finding}" for finding in each["findings"])]
        sections += [markdown(table(HEADER, each["rows"], 3)), "\n".join(f"* {note}" for note in each["notes"])]
    write_page(
        places.docs / "results" / "metal-on-pixels.md",
        Path(__file__).with_name("metal.md"),
        baseline="logistic regression on pixels",
        better=verdicts.count("better"),
        worse=verdicts.count("worse"),
        comparisons=len(verdicts),
        trainings="\n".join(["```", *found["commands"], "```"]),
        sections="\n\n".join(sections),
    )


if __name__ == "__main__":
    main()
