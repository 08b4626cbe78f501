"""Loading, checking and de-identification agree on the rows and columns of any manifest, and on refusals."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from small_tasks import textured, write_images

from medshot.audit.listing import listings
from medshot.deidentify import deidentify
from medshot.errors import InputError
from medshot.imaging import FileImages
from medshot.tasks import Task, load_tasks, read_images

NAMES = [f"{number}.png" for number in range(8)]
HEADERS = (
    ["image", "label"],
    ["image", "label", "patient"],
    ["label", "patient", "image", "site"],
    ["image:before", "image:after", "label", "patient"],
    ["image:before", "image:after", "label"],
    ["image:flair", "label"],
    ["image", "image:after", "label"],
    ["image", "label", "label"],
    ["picture", "label"],
    ["image", "patient"],
    ["Image", "Label", "Patient_ID"],
    ["label", "IMAGE", "mrn", "PatientID"],
)
CELLS = {
    "image": st.sampled_from([*NAMES, "./0.png", ".\\1.png", "", " "]),
    "label": st.sampled_from(["ill", "well", "well", ""]),
    "patient": st.sampled_from(["p1", "p2", "p3", "p4", ""]),
    "mrn": st.sampled_from(["1", "2", "2"]),
    "site": st.sampled_from(["1", "2"]),
}


@st.composite
def manifests(draw: st.DrawFn) -> bytes:
    """Draw a manifest with any of the usual mistakes, or with none."""
    header = draw(st.sampled_from(HEADERS))
    sound = draw(st.booleans())
    rows = []
    for number in range(draw(st.integers(0, 4))):
        kinds = [name.partition(":")[0].casefold().replace("_id", "").removesuffix("id") for name in header]
        row = [draw(CELLS.get(kind, CELLS["site"])) for kind in kinds]
        if sound:
            shift = {"image": 0, "image:before": 0, "image:after": 1}
            names = [name.casefold() for name in header]
            row = [NAMES[number + shift[name]] if name in shift else row[k] for k, name in enumerate(names)]
            row = [row[k] or "ill" if kind == "patient" else row[k] for k, kind in enumerate(kinds)]
        rows.append(row)
    delimiter = draw(st.sampled_from(",;\t|"))
    lines = [delimiter.join(row) for row in [header, *rows]]
    if not sound:
        line = draw(st.integers(0, len(lines) - 1))
        lines[line] += draw(st.sampled_from(["", "", delimiter, "\0", '"', "\n"]))
    text = draw(st.sampled_from(["\n", "\r\n"])).join(lines)
    return text.encode(draw(st.sampled_from(["utf-8", "utf-8-sig", "utf-16"])))


@pytest.fixture(scope="module")
def images(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Write an image of each name into a folder."""
    folder = tmp_path_factory.mktemp("images")
    for name, written in zip(NAMES, write_images(textured(1, patients=4), folder), strict=True):
        (folder / written).rename(folder / name)
    return folder


def samples(task: Task) -> list[tuple[str, ...]]:
    """Return the names of the images of each sample."""
    sources = {"": task.images} if isinstance(task.images, FileImages) else task.images.sources
    rows = task.images.rows.T if len(sources) > 1 or "" not in sources else [np.arange(len(task.images))]
    cells = [
        [source.paths[row].name if row >= 0 else "" for row in of_name]
        for source, of_name in zip(sources.values(), rows, strict=True)
    ]
    return [tuple(filter(None, of_one)) for of_one in zip(*cells, strict=True)]


def outcome(read: Callable[[], Any]) -> tuple[Any, str]:
    """Return the result, or None and the sentence of the refusal."""
    try:
        return read(), ""
    except InputError as error:
        return None, str(error)


@example(content=b"image:flair\tlabel\n0.png\till\n0.png\t")
@example(content=b"image:flair\tlabel\n0.png\t")
@given(content=manifests())
@settings(max_examples=100, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_all_three_agree_on_any_manifest(tmp_path_factory, images, content):
    folder = tmp_path_factory.mktemp("data")
    for name in NAMES:
        (folder / name).write_bytes((images / name).read_bytes())
    path = folder / "task.csv"
    path.write_bytes(content)
    listed, not_listed = outcome(lambda: listings(path)[0])
    task, refused = outcome(lambda: load_tasks(path)[0])
    if task is None:
        first = [f"{problem.where} {problem.why}." for problem in listed.problems[:1]] if listed else [not_listed]
        single = listed is not None and len(listed.labels.names) < 2
        assert single or [refused] == first
    else:
        assert not listed.problems
        assert listed.dropped == task.dropped
        assert [Path(image).name for image in listed.paths] == [name for of_one in samples(task) for name in of_one]
        if listed.patients is not None and not listed.samples:
            assert [listed.patients[row] for row in range(len(listed))] == task.patients.tolist()
    wanted, unusable = outcome(lambda: read_images(path))
    clean = folder.with_name(f"{folder.name} clean")
    done = deidentify(folder, clean)
    assert done.cleaned == len(NAMES)
    assert done.manifests == (not unusable)
    assert [name for name, _ in done.left_out] == (["task.csv"] if unusable else [])
    if wanted is not None:
        copied = read_images(clean / "task.csv")
        assert list(copied) == list(wanted)
        for name, cells in wanted.items():
            contents = [[cell and cell.read_bytes() for cell in of_one] for of_one in (cells, copied[name])]
            assert contents[0] == contents[1]
