"""What `medshot check DATA --deidentify OUT` writes and says."""

from pathlib import Path
from typing import Any

from medshot.imaging.deidentification import deidentify


def deidentify_into(data: Path, out: Path) -> dict[str, Any]:
    """Write the clean copy; what was done, for the screen of the owner of the data (left-out files by name)."""
    done = deidentify(data, out)
    return {
        "out": str(done.out),
        "cleaned": done.cleaned,
        "manifests": done.manifests,
        "left_out": [{"file": path, "reason": reason} for path, reason in done.left_out],
        "look_at": [{"file": path, "reason": reason} for path, reason in done.look_at],
        "folder_names": list(done.folder_names),
    }
