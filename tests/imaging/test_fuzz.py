"""Damaged files of every kind end in a result or one sentence; benchmarks/robustness/ tries thousands."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


@pytest.mark.slow
def test_five_hundred_damaged_files(tmp_path):
    command = [sys.executable, "-m", "benchmarks.robustness.fuzz_reading", "--inputs", "500", "--seed", "1", "--quick"]
    done = subprocess.run([*command, "--out", str(tmp_path)], capture_output=True, text=True, cwd=ROOT)
    summary = json.loads(done.stdout)
    assert summary["inputs"] == 500
    assert summary["faults"] == []
    assert done.returncode == 0
    assert set(summary["outcomes"]) == {"result", "sentence"}, "nothing was read, or nothing refused"
