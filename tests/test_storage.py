"""Files are written whole or not at all, and are read back unchanged."""

import errno
import io
import os
import subprocess
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from medshot.errors import StorageError
from medshot.storage import (
    new_folder,
    read_arrays,
    read_bytes,
    read_json,
    read_metadata,
    refuse_existing,
    write_arrays,
    write_bytes,
    write_json,
)

ARRAYS = {"scalar": np.array(2.5), "row": np.arange(3), "empty": np.zeros((0, 4), np.uint8)}


def full_disk(*args, **kwargs):
    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


class FailingFile(io.FileIO):
    """A file on a disk that fills up in the middle of a write."""

    def write(self, content):
        super().write(bytes(content)[: len(content) // 2])
        full_disk()


def failing_open(path, mode="r", *args, **kwargs):
    return FailingFile(path, mode)


def written_by(write, path):
    with pytest.raises(StorageError) as caught:
        write(path)
    sentence = str(caught.value)
    assert str(path) in sentence
    assert "\n" not in sentence
    return sentence


WRITERS = [
    lambda path: write_bytes(path, b"new content"),
    lambda path: write_json(path, {"new": "content"}),
    lambda path: write_arrays(path, ARRAYS),
]


@pytest.mark.parametrize("write", WRITERS)
@pytest.mark.parametrize("old", [None, b"old content"])
@pytest.mark.parametrize("broken", ["fsync", "write", "replace"])
def test_a_failed_write_leaves_what_was_there_and_nothing_else(tmp_path, monkeypatch, write, old, broken):
    path = tmp_path / "result"
    if old is not None:
        path.write_bytes(old)
    with monkeypatch.context() as patch:
        if broken == "fsync":
            patch.setattr(os, "fsync", full_disk)
        elif broken == "write":
            patch.setattr(Path, "open", failing_open)
        else:
            patch.setattr(Path, "replace", full_disk)
        assert "No space left" in written_by(write, path)
    assert [child.name for child in tmp_path.iterdir()] == ([] if old is None else ["result"])
    assert old is None or path.read_bytes() == old


def test_an_interrupted_write_leaves_no_part(tmp_path, monkeypatch):
    def interrupt(number):
        raise KeyboardInterrupt

    monkeypatch.setattr(os, "fsync", interrupt)
    with pytest.raises(KeyboardInterrupt):
        write_bytes(tmp_path / "result", b"content")
    assert not list(tmp_path.iterdir())


def test_threads_that_write_one_file_leave_one_of_their_contents(tmp_path):
    path, contents = tmp_path / "result", [bytes([number]) * 2_000_000 for number in range(4)]
    with ThreadPoolExecutor(4) as pool:
        for _ in range(10):
            list(pool.map(lambda content: write_bytes(path, content), contents))
            assert path.read_bytes() in contents
    assert [child.name for child in tmp_path.iterdir()] == ["result"]


def test_writing_below_a_file_or_to_no_folder_is_one_sentence(tmp_path):
    (tmp_path / "file").write_text("a file, no folder")
    written_by(WRITERS[0], tmp_path / "file" / "result")
    written_by(WRITERS[0], tmp_path / "nowhere" / "result")
    written_by(WRITERS[0], tmp_path / ("x" * 250))
    assert [child.name for child in tmp_path.iterdir()] == ["file"]


def test_a_file_system_that_is_full_keeps_the_old_file(tmp_path):
    place = tmp_path / "small"
    place.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=64k", "tmpfs", str(place)]
    try:
        subprocess.run(mount, check=True, capture_output=True)
    except (OSError, subprocess.CalledProcessError):
        pytest.skip("mounting a small file system isn't allowed here")
    try:
        write_bytes(place / "result", b"old content")
        with pytest.raises(StorageError, match="No space left"):
            write_arrays(place / "result", {"large": np.ones(100_000)})
        with pytest.raises(StorageError, match="No space left"), new_folder(place / "run") as folder:
            write_arrays(folder / "large", {"large": np.ones(100_000)})
        assert [child.name for child in place.iterdir()] == ["result"]
        assert (place / "result").read_bytes() == b"old content"
    finally:
        subprocess.run(["umount", str(place)], check=True)


def test_a_new_folder_appears_whole(tmp_path):
    place = tmp_path / "deep" / "run"
    with new_folder(place) as folder:
        write_bytes(folder / "a", b"1")
        assert not place.exists()
    assert [child.name for child in place.iterdir()] == ["a"]
    assert [child.name for child in place.parent.iterdir()] == ["run"]


@pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt, SystemExit])
def test_a_new_folder_vanishes_on_any_error(tmp_path, error):
    def fail() -> None:
        with new_folder(tmp_path / "run") as folder:
            write_bytes(folder / "a", b"1")
            raise error

    with pytest.raises(error):
        fail()
    assert not list(tmp_path.iterdir())


def test_what_exists_is_never_overwritten(tmp_path):
    (tmp_path / "file").write_bytes(b"mine")
    (tmp_path / "folder").mkdir()
    (tmp_path / "dangling").symlink_to(tmp_path / "nowhere")
    for name in ("file", "folder", "dangling"):
        with pytest.raises(StorageError, match=f"{name} exists already"):
            refuse_existing(tmp_path / name)
        with pytest.raises(StorageError, match="exists already"), new_folder(tmp_path / name):
            pytest.fail("the block must not be entered")
    assert (tmp_path / "file").read_bytes() == b"mine"


def test_a_folder_that_appears_meanwhile_is_not_overwritten(tmp_path):
    def race() -> None:
        with new_folder(tmp_path / "run") as folder:
            write_bytes(folder / "a", b"ours")
            (tmp_path / "run").mkdir()
            write_bytes(tmp_path / "run" / "a", b"theirs")

    with pytest.raises(StorageError, match="exists already"):
        race()
    assert (tmp_path / "run" / "a").read_bytes() == b"theirs"
    assert [child.name for child in tmp_path.iterdir()] == ["run"]


@pytest.mark.parametrize("kind", [np.float32, np.float64, np.int64, np.uint8, np.uint16, np.bool_])
def test_arrays_come_back_with_shape_type_and_content(tmp_path, kind):
    arrays = {name: array.astype(kind) for name, array in ARRAYS.items()}
    arrays["strided"] = np.arange(12).reshape(3, 4).T.astype(kind)[::2]
    digest = write_arrays(tmp_path / "file", arrays, {"note": "größer"})
    back = read_arrays(tmp_path / "file", digest)
    assert back.keys() == arrays.keys()
    for name, array in arrays.items():
        assert back[name].shape == array.shape
        assert back[name].dtype == array.dtype
        assert np.array_equal(back[name], array)
    assert read_metadata(tmp_path / "file") == {"note": "größer"}


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_any_flipped_byte_or_missing_end_is_noticed(tmp_path, data):
    path = tmp_path / "file"
    digest = write_arrays(path, ARRAYS)
    content = bytearray(path.read_bytes())
    place = data.draw(st.integers(0, len(content) - 1))
    if data.draw(st.booleans()):
        content[place] ^= data.draw(st.integers(1, 255))
    else:
        del content[place:]
    path.write_bytes(content)
    with pytest.raises(StorageError, match="SHA-256 differs"):
        read_arrays(path, digest)
    with suppress(StorageError):  # without a digest some damage cannot be seen, but nothing else may come of it
        read_arrays(path)
        read_metadata(path)


def test_another_valid_file_in_its_place_is_noticed(tmp_path):
    digest = write_arrays(tmp_path / "file", ARRAYS)
    write_arrays(tmp_path / "file", {"row": np.arange(4)})
    with pytest.raises(StorageError, match="not the file that was saved"):
        read_arrays(tmp_path / "file", digest)


def test_nan_and_infinity_are_no_json(tmp_path):
    for value in (float("nan"), float("inf"), [float("-inf")]):
        with pytest.raises(ValueError, match="Out of range"):
            write_json(tmp_path / "result.json", {"value": value})
    assert not list(tmp_path.iterdir())


def test_json_comes_back(tmp_path):
    value = {"name": "größer", "list": [1, 2.5, None, True], "inner": {"a": "b"}}
    write_json(tmp_path / "result.json", value)
    assert read_json(tmp_path / "result.json") == value


@pytest.mark.parametrize(
    "content", [b"", b"{", b"[1]", b"null", b"\xff\xfe", b"{'a': 1}", b"[" * 100_000, b'{"a": NaN}']
)
def test_what_is_not_a_json_object_is_refused(tmp_path, content):
    (tmp_path / "result.json").write_bytes(content)
    with pytest.raises(StorageError, match=r"result\.json"):
        read_json(tmp_path / "result.json")


def test_a_missing_file_is_one_sentence(tmp_path):
    for read in (read_bytes, read_json, read_arrays, read_metadata):
        with pytest.raises(StorageError, match="could not be read"):
            read(tmp_path / "nowhere")
