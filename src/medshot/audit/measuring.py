"""The pass over all images: every file is read once, on all cores, and not again while it is unchanged."""

import os
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from jaxtyping import Int64
from joblib import Parallel, delayed

from medshot.audit.decoding import decode, header_of, of_array
from medshot.audit.facts import FACTS, FactStore, file_identity, keys, measure
from medshot.audit.listing import Listing, UnusableImage
from medshot.errors import InputError
from medshot.imaging.cache import in_threads
from medshot.imaging.decoding import content_hash, files_of_image
from medshot.imaging.folders import patient_of
from medshot.imaging.npz import split_member
from medshot.imaging.reading import read_content
from medshot.process import opencv_single_threaded
from medshot.progress import progress
from medshot.tasks.rows import why_missing

BATCH = 256
_WORTH_PROCESSES = 4_000  # files: starting processes takes as long as reading some thousand


Batch = tuple[list[int], np.ndarray, list[tuple[int, str]]]


@dataclass(frozen=True)
class Measured:
    """The rows of a listing's images in the store of facts.

    Args:
        rows: the row of each image in the store, -1 if it could not be read.
        problems: why the others could not be read.
    """

    rows: Int64[np.ndarray, " images"]
    problems: tuple[UnusableImage, ...]


def measure_all(listing: Listing, store: FactStore) -> Measured:
    """Measure all images of a listing that are not in the store.

    Memory grows by some bytes per image only. Each batch is stored when it is measured, so that a killed check resumes
    after the last one.

    Raises:
        StorageError: the cache folder cannot be written to.
    """
    if listing.array is not None:
        wanted, problems = keys(_array_identity(image) for image in listing.array), list[UnusableImage]()
        batches = _batches(np.flatnonzero(store.find(wanted) < 0))
        done: Iterator[Batch] = (_measure_arrays(listing.array, batch) for batch in batches)
    else:
        wanted, problems = _file_keys(listing)
        unknown = (store.find(wanted) < 0) & wanted.any(axis=1)
        done = _measure_files(listing.paths, np.flatnonzero(unknown))
    missing = int((store.find(wanted) < 0).sum())
    with progress(f"measuring {listing.name}", missing) as advance:
        for indices, rows, failed in done:
            if len(rows):
                store.append(wanted[indices], rows)
            problems += [UnusableImage(listing.named(index), why) for index, why in failed]
            advance(len(indices) + len(failed))
    return Measured(store.find(wanted), tuple(sorted(problems, key=lambda problem: problem.where)))


def _file_keys(listing: Listing) -> tuple[np.ndarray, list[UnusableImage]]:
    """Return the key of every file, zeros for a missing one."""
    found, problems = np.zeros((len(listing), 2), np.uint64), []
    for start in range(0, len(listing), 10_000):
        there, identities = [], []
        for index in range(start, min(start + 10_000, len(listing))):
            path = listing.paths[index]
            try:
                identities.append(file_identity(path))
                there.append(index)
            except (OSError, ValueError) as error:
                missing = isinstance(error, FileNotFoundError)
                why = why_missing(path, listing.folder) if missing else f"could not be read ({error})"
                problems.append(UnusableImage(listing.named(index), why))
        if there:
            found[there] = keys(identities)
    return found, problems


def _array_identity(image: np.ndarray) -> bytes:
    return f"array {image.dtype} {image.shape}".encode() + image.tobytes()


def _measure_files(paths: Sequence[str], indices: np.ndarray) -> Iterator[Batch]:
    jobs = ([(int(index), paths[index]) for index in batch] for batch in _batches(indices))
    if len(indices) < _WORTH_PROCESSES:
        yield from in_threads(_measure_batch, _finer(jobs), os.cpu_count() or 1)
        return
    pool = Parallel(n_jobs=-1, return_as="generator_unordered", pre_dispatch="3*n_jobs", batch_size=1)
    yield from pool(delayed(_measure_batch)(job) for job in jobs)


@opencv_single_threaded()
def _measure_batch(job: Sequence[tuple[int, str]]) -> Batch:
    rows, done, failed = np.zeros(len(job), FACTS), list[int](), list[tuple[int, str]]()
    for index, path in job:
        try:
            identity, content = _content(path)
            rows[len(done)] = measure(
                decode(path), path, identity, header_of(content), patient_of(split_member(Path(path))[0])
            )
            done.append(index)
        except InputError as error:
            failed.append((index, str(error).removeprefix(path).strip()))
        except Exception as error:  # no single image may end a check of a million
            failed.append((index, f"could not be measured ({type(error).__name__}: {error})"))
    return done, rows[: len(done)], failed


def _content(path: str) -> tuple[bytes, bytes]:
    """Return what identifies an image, and the bytes of its file; if it has several, their hash and the first."""
    file, _ = split_member(Path(path))
    files = files_of_image(file)
    if files == [file]:
        content = read_content(file)
        return content, content
    return content_hash(file).encode(), read_content(files[0] if files else file)


def _measure_arrays(array: np.ndarray, batch: np.ndarray) -> Batch:
    rows = [measure(of_array(array[index]), ".npz", array[index].tobytes()) for index in batch]
    return batch.tolist(), np.array(rows, FACTS), []


def _batches(indices: np.ndarray) -> Iterator[np.ndarray]:
    return (indices[start : start + BATCH] for start in range(0, len(indices), BATCH))


def _finer(jobs: Iterable[list[tuple[int, str]]]) -> Iterator[list[tuple[int, str]]]:
    """Split batches into smaller ones, so that few files too are shared out and progress is shown."""
    return (job[start : start + 32] for job in jobs for start in range(0, len(job), 32))
