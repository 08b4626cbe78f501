"""Commands use no network, and write only to the cache folder, the outcomes file and where they are told to."""

import json
import os
import shlex
import subprocess
import sys
from pathlib import Path

import pytest
from small_tasks import write_images
from test_commands import COMMANDS, SHORTER, example

from medshot.simulated import simulate

WATCHED = Path(__file__).with_name("watched.py")
UNSET = (
    "XDG_CACHE_HOME",
    "XDG_CONFIG_HOME",
    "XDG_DATA_HOME",
    "MPLCONFIGDIR",
    "TORCHINDUCTOR_CACHE_DIR",
    "ORT_DISABLE_TELEMETRY",
)


def run_python(*arguments: str | Path, cwd: Path, **variables: str) -> str:
    environment = {name: value for name, value in os.environ.items() if name not in UNSET} | variables
    done = subprocess.run([sys.executable, *arguments], capture_output=True, text=True, cwd=cwd, env=environment)
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_no_command_uses_the_network_or_writes_elsewhere(tmp_path):
    home, temporary, work = (tmp_path / name for name in ("home", "temporary", "work"))
    for folder in (home, temporary, work):
        folder.mkdir()
    for number, name in enumerate(("tasks/first", "tasks/second", "held_out", "new_task", "scans")):
        write_images(simulate("brain", seed=number, patients=16, size=32), work / name)
    outs = {
        "quickstart",
        "report",
        "run",
        "encoder",
        "model",
        "predictions.csv",
        "to_label.csv",
        "evaluation",
        "forecast",
        "checked",
    }
    commands = [["--help"]] + [[*shlex.split(example(name))[1:], *SHORTER.get(name, ())] for name in COMMANDS]
    cache, outcomes = tmp_path / "cache", tmp_path / "outcomes.jsonl"
    printed = run_python(
        WATCHED,
        *map(json.dumps, commands),
        cwd=work,
        HOME=str(home),
        TMPDIR=str(temporary),
        MEDSHOT_CACHE=str(cache),
        MEDSHOT_OUTCOMES=str(outcomes),
    )
    found = json.loads(printed.splitlines()[-1])
    codes = found["codes"]
    assert codes.pop("check") in (0, 1)
    assert codes == dict.fromkeys(["--help", *COMMANDS.keys() - {"check"}], 0)
    assert found["tried"] == []
    assert list(home.rglob("*")) == []
    assert list(temporary.rglob("*")) == []
    assert {path.name for path in work.iterdir()} - outs == {"tasks", "held_out", "new_task", "scans"}
    beside = {path.name for path in tmp_path.iterdir()} - {home.name, temporary.name, work.name, cache.name}
    assert beside == {"outcomes.jsonl", "outcomes.lock"}
    assert [path for path in found["written"] if not path.startswith((str(tmp_path), "/dev"))] == []


def test_onnx_runtime_writes_no_device_id(tmp_path):
    code = (
        "import medshot, torch; from medshot.encoders.encoder import load_encoder; "
        "from medshot.encoders.lite0 import LITE0; load_encoder(LITE0, torch.device('cpu'))"
    )
    run_python("-c", code, cwd=tmp_path, HOME=str(tmp_path))
    assert list(tmp_path.rglob("*")) == []


def test_telemetry_of_an_onnx_runtime_that_is_imported_already_is_turned_off(tmp_path):
    code = (
        "import sys, types; runtime = types.ModuleType('onnxruntime'); sys.modules['onnxruntime'] = runtime; "
        "runtime.disable_telemetry_events = lambda: print('turned off'); import medshot"
    )
    assert run_python("-c", code, cwd=tmp_path).split() == ["turned", "off"]


def test_a_variable_that_the_user_has_set_keeps_its_value(tmp_path):
    code = "import os, medshot; print(os.environ['ORT_DISABLE_TELEMETRY'], os.environ['OMP_WAIT_POLICY'])"
    assert run_python("-c", code, cwd=tmp_path, OMP_WAIT_POLICY="ACTIVE").split() == ["1", "ACTIVE"]
