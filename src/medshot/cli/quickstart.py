"""`medshot quickstart`: every step on simulated tasks, so that anyone can try it without data."""

import time
from pathlib import Path

from medshot.cli.options import Device, Json, Out, Seed, note, print_json


def quickstart(
    out: Out = Path("quickstart"),
    seed: Seed = 0,
    device: Device = "cpu",
    as_json: Json = False,
) -> None:
    """Meta-train, adapt, predict and evaluate on built-in simulated tasks, in under a minute.

    Writes a run folder, a model folder with predictions, two reports to open in a browser, and a folder `hospital` of
    labelled images to try the other commands on.

    Example: medshot quickstart --out quickstart
    """
    from medshot.cli.checking import check_device, check_new

    check_device(device)
    check_new(out)

    from medshot.cli.demonstration import TRAINED, UNTRAINED, demonstrate, print_results

    began = time.perf_counter()
    trained, untrained = demonstrate(out, seed=seed, device=device)
    if as_json:
        print_json({"trained_families": trained.results.to_json(), "unseen_family": untrained.results.to_json()})
    else:
        print_results(f"New hospitals of {', '.join(TRAINED)}", trained)
        print_results(f"New hospitals of {UNTRAINED}, not used in training", untrained)
    note(f"Done in {time.perf_counter() - began:.0f} s. Open {out / 'trained_families' / 'report.html'} in a browser.")
    note(f"Try: medshot info {out / 'run'}; medshot adapt {out / 'hospital'} --out model")
