"""Variables that other libraries read from the environment when they are imported, and the folder where files are kept.

`medshot` imports this module before any of them, and processes that it starts inherit the environment. A variable that
the user has set keeps its value.
"""

import os
import sys
from pathlib import Path

import platformdirs

DEFAULTS = {
    # ONNX Runtime sends telemetry and writes a device id into the home folder; Hugging Face Hub sends telemetry.
    "ORT_DISABLE_TELEMETRY": "1",
    "HF_HUB_DISABLE_TELEMETRY": "1",
    # Threads that wait for work sleep. If they spin, they take the cores from other processes: OpenMP of GNU, OpenMP of
    # LLVM and Intel, and OpenBLAS, where the number is an exponent of two clock cycles.
    "OMP_WAIT_POLICY": "PASSIVE",
    "KMP_BLOCKTIME": "0",
    "OPENBLAS_THREAD_TIMEOUT": "4",
}


def cache_folder() -> Path:
    """Return the cache folder: $MEDSHOT_CACHE, or the user's cache folder of this operating system."""
    chosen = os.environ.get("MEDSHOT_CACHE")
    return Path(chosen) if chosen else platformdirs.user_cache_path("medshot", appauthor=False)


def set_defaults() -> None:
    """Set the variables that the user has not set, and turn off ONNX Runtime's telemetry if it is imported already."""
    for name, value in DEFAULTS.items():
        os.environ.setdefault(name, value)
    runtime = sys.modules.get("onnxruntime")
    if runtime is not None and os.environ["ORT_DISABLE_TELEMETRY"] != "0":
        runtime.disable_telemetry_events()


def keep_caches_together() -> None:
    """Make matplotlib and torch keep their files in the cache folder, not in the home and temporary folders.

    This is for commands. A user's own program may have settings of matplotlib in the home folder.
    """
    os.environ.setdefault("MPLCONFIGDIR", str(cache_folder() / "matplotlib"))
    os.environ.setdefault("TORCHINDUCTOR_CACHE_DIR", str(cache_folder() / "torch"))


set_defaults()
