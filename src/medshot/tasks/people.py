"""The persons behind samples: the same by name, by a common image or file, or by DICOM headers."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

import numpy as np
from jaxtyping import Int

from medshot.imaging import MISSING, FileImages, ImageSource, SeveralImages, patient_of, split_member


def people_of(patients: Sequence[object], digests: Sequence[Sequence[str]]) -> Int[np.ndarray, " samples"]:
    """Assign a person to each sample: patients with the same name, or with an identical image, are the same person.

    People are numbered in the order of their first samples.

    Args:
        patients: the name of each sample's patient.
        digests: the content hashes of all images of each sample.
    """
    return _connected([[(patient,), *of_sample] for patient, of_sample in zip(patients, digests, strict=True)])


def unnamed_patients(images: ImageSource) -> list[str]:
    """Assign a patient to each sample: the same if two have an image, a file or a DICOM PatientID in common.

    Every other sample is its own patient, which is the best guess and may be wrong.
    """
    return patients_of_files(files_of(images), len(images))[0]


@dataclass(frozen=True)
class SampleFile:
    """An image of a sample, by which its patient can be identified.

    Args:
        sample: the number of the sample.
        digest: the hash of the image.
        file: its path, "" if it is in memory; arrays of one file are of one patient.
        patient: the hashed PatientID of its DICOM header, "" if there is none.
    """

    sample: int
    digest: str
    file: str = ""
    patient: str = ""


def patients_of_files(files: Iterable[SampleFile], samples: int) -> tuple[list[str], int]:
    """Name the patient of each sample by the images of all, and count the samples whose DICOM header names one."""
    signs: list[list[str]] = [[f"sample {number}"] for number in range(samples)]
    named = set()
    for one in files:
        signs[one.sample] += filter(None, (one.digest, one.file, one.patient))
        if one.patient:
            named.add(one.sample)
    return [f"patient {code}" for code in _connected(signs)], len(named)


def patients_remark(samples: int, from_headers: int, missing: str) -> str:
    """Return the sentence on whose images they are if nothing in the data names patients.

    Args:
        samples: how many samples there are.
        from_headers: for how many of them the patient is in a DICOM header.
        missing: what does not name the patients.
    """
    if samples and from_headers == samples:
        return "Patients are taken from the PatientID of DICOM headers."
    every = "every image counts as a patient of its own"
    if from_headers:
        return f"{missing} and {samples - from_headers} of {samples} images have no PatientID: of these, {every}."
    return f"{missing}: {every}, so two images of one person may be on both sides of a split."


def _connected(signs: Sequence[Sequence[object]]) -> Int[np.ndarray, " samples"]:
    """Number the groups of samples that are connected by common signs, in the order of their first samples."""
    from scipy.sparse import coo_array  # slow to import
    from scipy.sparse.csgraph import connected_components

    codes: dict[object, int] = {}
    ends = [(sample, codes.setdefault(sign, len(codes))) for sample, of_one in enumerate(signs) for sign in of_one]
    samples, found = np.array(ends).T
    nodes = len(signs) + len(codes)
    graph = coo_array((np.ones(len(ends)), (samples, len(signs) + found)), shape=(nodes, nodes))
    return connected_components(graph, directed=False)[1][: len(signs)].astype(np.int64)


def files_of(images: ImageSource) -> list[SampleFile]:
    """Return the images of each sample with the patients in their headers."""
    match images:
        case FileImages(paths=paths):
            return [
                SampleFile(number, digest, str(split_member(path)[0]), patient_of(path))
                for number, (path, digest) in enumerate(zip(paths, images.hashes(), strict=True))
            ]
        case SeveralImages():
            of_names = [files_of(images.sources[name]) for name in images.names]
            return [
                replace(files[row], sample=sample)
                for sample, rows in enumerate(images.rows.tolist())
                for files, row in zip(of_names, rows, strict=True)
                if row != MISSING
            ]
        case _:
            return [SampleFile(number, digest) for number, digest in enumerate(images.hashes())]
