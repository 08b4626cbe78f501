"""Who samples are of where no manifest says so."""

import numpy as np
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from medshot.imaging import MISSING, FileImages, ImageSource, SeveralImages, parted, patient_of


def unnamed_patients(images: ImageSource) -> list[str]:
    """A patient for each sample: the same where two samples have an image, a file or a DICOM PatientID in common.

    Every other sample is its own patient, which is the best that can be said and may be wrong.
    """
    signs = _signs(images)
    codes: dict[str, int] = {}
    ends = [(sample, codes.setdefault(sign, len(codes))) for sample, of_one in enumerate(signs) for sign in of_one]
    samples, found = np.array(ends).T
    nodes = len(signs) + len(codes)
    graph = coo_array((np.ones(len(ends)), (samples, len(signs) + found)), shape=(nodes, nodes))
    return [f"patient {code}" for code in connected_components(graph, directed=False)[1][: len(signs)]]


def _signs(images: ImageSource) -> list[list[str]]:
    """What tells for each sample that it is of the same patient as another."""
    match images:
        case FileImages(paths=paths):
            return [
                list(filter(None, (digest, str(parted(path)[0]), patient_of(path))))
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
