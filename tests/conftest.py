from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
from hypothesis import settings

settings.register_profile("medshot", deadline=None)  # machines differ in speed, and laws do not
settings.load_profile("medshot")


@pytest.fixture(scope="session", autouse=True)
def _quiet_machine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Give each run a cache folder and outcomes of its own, and one thread: more are slow on a busy machine."""
    torch.set_num_threads(1)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("MEDSHOT_CACHE", str(tmp_path_factory.mktemp("cache")))
        patch.setenv("MEDSHOT_OUTCOMES", str(tmp_path_factory.mktemp("outcomes") / "outcomes.jsonl"))
        yield


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """Return the folder of real medical images beside the checkout."""
    folder = Path(__file__).resolve().parents[2] / "shared" / "data"
    if not folder.is_dir():
        pytest.skip(f"no real images: the folder {folder} is absent")
    return folder
