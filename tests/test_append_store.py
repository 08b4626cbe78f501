"""A store never returns the row of another key, even if other processes change its folder."""

import shutil
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from medshot.append_store import AppendStore
from medshot.errors import StorageError

COLUMNS = {"wide": (np.dtype(np.float32), (3,)), "square": (np.dtype(np.uint8), (2, 2))}


def store_in(folder: Path) -> AppendStore:
    return AppendStore(folder, COLUMNS, keys="keys", key_bytes=16)


def keys_of(numbers: list[int]) -> np.ndarray:
    """Return keys that are spread like hashes."""
    return np.array([np.random.default_rng(number).integers(0, 256, 16) for number in numbers], np.uint8).reshape(
        -1, 16
    )


def rows_of(numbers: list[int]) -> dict[str, np.ndarray]:
    """Return rows that differ between numbers."""
    wide = np.repeat(np.array(numbers, np.float32), 3).reshape(-1, 3)
    return {"wide": wide, "square": np.repeat(np.array(numbers, np.uint8), 4).reshape(-1, 2, 2)}


def refuse_wrong_rows(store: AppendStore, numbers: list[int], stored: set[int]) -> None:
    """Assert that exactly the stored numbers are found, each with its own row."""
    rows = store.find(keys_of(numbers))
    assert [number for number, row in zip(numbers, rows, strict=True) if row >= 0] == [
        number for number in numbers if number in stored
    ]
    there = [number for number in numbers if number in stored]
    for name, expected in rows_of(there).items():
        np.testing.assert_array_equal(store.column(name)[rows[rows >= 0]], expected)


NUMBERS = st.lists(st.integers(0, 30), max_size=8, unique=True)
ACTIONS = st.one_of(
    st.tuples(st.just("append"), NUMBERS),
    st.tuples(st.just("empty"), st.just([])),
    st.tuples(st.just("delete the files one by one"), st.just([])),
    st.tuples(st.just("tear"), st.just([])),
    st.tuples(st.just("append by an earlier version"), st.just([])),
)


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(actions=st.lists(ACTIONS, max_size=8), looks=st.lists(st.booleans(), min_size=8, max_size=8))
def test_no_row_is_that_of_another_key(tmp_path: Path, actions: list, looks: list[bool]) -> None:
    folder = tmp_path / "store"
    shutil.rmtree(folder, ignore_errors=True)
    reader, stored = store_in(folder), set[int]()
    for (action, numbers), look in zip(actions, looks, strict=False):
        if action == "append":
            store_in(folder).append(keys_of(numbers), rows_of(numbers))
            stored |= set(numbers)
        elif action == "empty":
            shutil.rmtree(folder, ignore_errors=True)
            stored = set()
        elif action == "delete the files one by one" and folder.is_dir():
            for path in sorted(folder.iterdir()):
                path.unlink()
            stored = set()
        elif action == "tear" and (folder / "wide").is_file():
            with (folder / "wide").open("ab") as file:
                file.write(b"a tail")
        elif action == "append by an earlier version":
            (folder / "generation").unlink(missing_ok=True)
        if look:
            refuse_wrong_rows(reader, list(range(31)), stored)
    refuse_wrong_rows(reader, list(range(31)), stored)
    refuse_wrong_rows(store_in(folder), list(range(31)), stored)


def test_a_store_that_was_emptied_and_filled_with_more_is_noticed(tmp_path: Path) -> None:
    mine = store_in(tmp_path / "store")
    mine.append(keys_of([1, 2, 3]), rows_of([1, 2, 3]))
    assert (mine.find(keys_of([1, 2, 3])) >= 0).all()
    shutil.rmtree(tmp_path / "store")
    store_in(tmp_path / "store").append(keys_of([4, 5, 6, 7]), rows_of([4, 5, 6, 7]))
    with pytest.raises(StorageError, match="run it again"):
        mine.column("wide")
    assert (mine.find(keys_of([1, 2, 3])) == -1).all()
    refuse_wrong_rows(mine, list(range(10)), {4, 5, 6, 7})


def test_a_folder_of_an_earlier_version_stays_readable(tmp_path: Path) -> None:
    store_in(tmp_path).append(keys_of([1, 2]), rows_of([1, 2]))
    (tmp_path / "generation").unlink()
    refuse_wrong_rows(store_in(tmp_path), list(range(5)), {1, 2})
    store_in(tmp_path).append(keys_of([2, 3]), rows_of([2, 3]))
    refuse_wrong_rows(store_in(tmp_path), list(range(5)), {1, 2, 3})
    assert (tmp_path / "keys").stat().st_size == 3 * 16


def test_rows_that_a_reader_has_mapped_stay_when_the_store_is_made_again(tmp_path: Path) -> None:
    store = store_in(tmp_path)
    store.append(keys_of([1, 2]), rows_of([1, 2]))
    store.find(keys_of([1]))
    mapped = store.column("wide")
    (tmp_path / "square").unlink()
    store_in(tmp_path).append(keys_of([3]), rows_of([3]))
    np.testing.assert_array_equal(mapped, rows_of([1, 2])["wide"])
    refuse_wrong_rows(store, list(range(5)), {3})
