"""The persons behind samples: the same by name, by a common image or file, or by DICOM headers."""

from collections.abc import Sequence

import numpy as np
from jaxtyping import Int
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from medshot.imaging import MISSING, FileImages, ImageSource, SeveralImages, patient_of, split_member
from medshot.tasks.task import Task


def people_of(tasks: Sequence[Task]) -> list[Int[np.ndarray, " samples"]]:
    """Assign a person to each sample of each task.

    Patients with the same name in one source, or with an identical image, are the same person. Without identical images
    the people of one task are numbered as its patients.
    """
    signs = [
        [(task.source, str(patient)), *digests]
        for task in tasks
        for patient, digests in zip(task.patients, task.hashes_of_each(), strict=True)
    ]
    person = _connected(signs)
    if len(tasks) == 1:
        codes = tasks[0].patient_codes
        first = np.full(person.max() + 1, len(codes))
        np.minimum.at(first, person, codes)
        person = np.unique(first[person], return_inverse=True)[1].reshape(-1)
    return np.split(person, np.cumsum([len(task) for task in tasks])[:-1])


def unnamed_patients(images: ImageSource) -> list[str]:
    """Assign a patient to each sample: the same if two have an image, a file or a DICOM PatientID in common.

    Every other sample is its own patient, which is the best guess and may be wrong.
    """
    return [f"patient {code}" for code in _connected(_signs(images))]


def _connected(signs: Sequence[Sequence[object]]) -> Int[np.ndarray, " samples"]:
    """Number the groups of samples that are connected by common signs, in the order of their first samples."""
    codes: dict[object, int] = {}
    ends = [(sample, codes.setdefault(sign, len(codes))) for sample, of_one in enumerate(signs) for sign in of_one]
    samples, found = np.array(ends).T
    nodes = len(signs) + len(codes)
    graph = coo_array((np.ones(len(ends)), (samples, len(signs) + found)), shape=(nodes, nodes))
    return connected_components(graph, directed=False)[1][: len(signs)].astype(np.int64)


def _signs(images: ImageSource) -> list[list[str]]:
    """Return, for each sample, the signs that it shares with other samples of the same patient."""
    match images:
        case FileImages(paths=paths):
            return [
                list(filter(None, (digest, str(split_member(path)[0]), patient_of(path))))
                for path, digest in zip(paths, images.hashes(), strict=True)
            ]
        case SeveralImages():
            of_names = [_signs(images.sources[name]) for name in images.names]
            return [
                [sign for signs, row in zip(of_names, rows, strict=True) if row != MISSING for sign in signs[row]]
                for rows in images.rows.tolist()
            ]
        case _:
            return [[digest] for digest in images.hashes()]
