"""The main job on real images: meta-train, hold whole data sets out, evaluate, and write docs/results.md.

Usage: python benchmarks/results.py [DATA] [--runs FOLDER] [--steps N]

Every step is a `medshot` command, printed before it runs. A step whose folder is there already is not made again, so
the script goes on where it was stopped; an unfinished meta-training is resumed.
"""

import argparse
import json
import shlex
import subprocess
import sys
from pathlib import Path

from document import replace_part

from medshot.evaluation import Results
from medshot.reporting import results_markdown

ROOT = Path(__file__).resolve().parents[1]

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

PREFACE = """# Results on real images

## METAL on pixels

Written by `python benchmarks/results.py`; do not edit. Two meta-trainings, each scored on data sets that it never saw,
at 64×64 grey pixels, with the same episodes for METAL and both baselines. "Scratch" is METAL's base network trained on
the support alone; "logistic" is logistic regression on pixels with the support augmented. The first interval is for new
patients, the second over support draws; "better" is read from the first. Features of an encoder are much stronger than
pixels on these data: see the table of all learners below.
"""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", nargs="?", type=Path, default=Path("../shared/data"), help="folder of the data sets")
    parser.add_argument("--runs", type=Path, default=Path("runs"), help="where runs and evaluations go")
    parser.add_argument("--steps", type=int, default=1200, help="outer steps of each meta-training")
    arguments = parser.parse_args()
    arguments.runs.mkdir(parents=True, exist_ok=True)
    commands = [
        meta_train(name, sources, arguments.data, arguments.runs, arguments.steps) for name, sources in RUNS.items()
    ]
    sections = []
    for title, run, name, source, options in EVALUATIONS:
        out = arguments.runs / name
        command = ["evaluate", str(arguments.data / source), *options, "--from", str(arguments.runs / run)]
        medshot([*command, "--out", str(out)], out)
        sections.append(section(title, out))
    out = arguments.runs / "reference"
    medshot(["evaluate", str(arguments.data / JSRT), *CANCER, *REFERENCE, "--out", str(out)], out)
    sections.append(
        section("The reference preset: one draw of 75 patients per class for lung cancer (JSRT), 224 px", out)
    )
    trained = "\n".join(["### Meta-training", "", "```", *commands, "```", ""])
    replace_part(ROOT / "docs" / "results.md", "metal on pixels", "\n".join([PREFACE, trained, *sections]))


def meta_train(name: str, sources: tuple[str, ...], data: Path, runs: Path, steps: int) -> str:
    """Meta-train METAL on the sources, going on with an unfinished run; returns the command."""
    out = runs / name
    command = ["meta-train", *(str(data / source) for source in sources), "--out", str(out)]
    command += ["--encoder", "none", "--steps", str(steps), "--learning-rate", "0.003"]
    medshot(command + (["--resume"] if out.exists() else []), out / "run.json")
    return shlex.join(["medshot", *command])


def medshot(command: list[str], made: Path) -> None:
    """Run a medshot command unless what it makes is there."""
    if made.exists():
        return
    print("$", shlex.join(["medshot", *command]), flush=True)
    subprocess.run([str(Path(sys.executable).with_name("medshot")), *command], check=True, stdout=subprocess.DEVNULL)


def section(title: str, folder: Path) -> str:
    """The table of one evaluation under its own heading."""
    results = Results.from_json(json.loads((folder / "results.json").read_text()))
    _, _, body = results_markdown(results).partition("\n")
    return f"### {title}\n{body.replace(chr(10) + '## ', chr(10) + '#### ')}"


if __name__ == "__main__":
    main()
