"""What `medshot check DATA --deidentify OUT` writes and says."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from medshot.deidentify import deidentify
from medshot.errors import InputError


def deidentify_into(paths: Sequence[Path], out: Path) -> dict[str, Any]:
    """Write the clean copy; what was done, for the screen of the owner of the data (left-out files by name).

    Raises:
        InputError: there are several folders, or it cannot be cleaned as a whole.
    """
    if len(paths) != 1:
        raise InputError(f"--deidentify takes one DATA and there are {len(paths)}; give the folder above them.")
    done = deidentify(paths[0], out)
    return {
        "out": str(done.out),
        "cleaned": done.cleaned,
        "manifests": done.manifests,
        "left_out": [{"file": path, "reason": reason} for path, reason in done.left_out],
        "look_at": [{"file": path, "reason": reason} for path, reason in done.look_at],
        "folder_names": list(done.folder_names),
    }
