"""Short commands wait for no library that they do not need."""

import subprocess
import sys

import pytest

HEAVY = ("scipy", "sklearn", "pydicom", "nibabel", "SimpleITK", "joblib", "matplotlib", "torch._dynamo")


def imported_by(*arguments: str) -> set[str]:
    code = (
        f"import sys; from medshot.cli import main; sys.argv = ['medshot', *{arguments}]\n"
        f"try: main()\nexcept SystemExit: pass\n"
        f"print(*(name for name in {(*HEAVY, 'torch', 'numpy')} if name in sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    return set(done.stdout.splitlines()[-1].split())


@pytest.mark.parametrize("arguments", [("--help",), ("adapt",), ("adapt", "--help"), ("info", "nowhere")])
def test_help_errors_and_info_wait_for_no_library(arguments):
    assert imported_by(*arguments) <= {"numpy"}


def test_the_list_of_learners_waits_for_torch_only():
    assert imported_by("learners", "--json") == {"torch", "numpy"}
