"""Damaged files of every kind end in a result or one sentence; benchmarks/fuzz_reading.py tries thousands."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

SCRIPT = Path(__file__).parents[2] / "benchmarks" / "fuzz_reading.py"


@pytest.mark.slow
def test_five_hundred_damaged_files():
    done = subprocess.run(
        [sys.executable, str(SCRIPT), "--inputs", "500", "--seed", "1"], capture_output=True, text=True
    )
    summary = json.loads(done.stdout)
    assert summary["inputs"] == 500
    assert summary["faults"] == []
    assert done.returncode == 0
    assert set(summary["outcomes"]) == {"result", "sentence"}, "nothing was read, or nothing refused"
