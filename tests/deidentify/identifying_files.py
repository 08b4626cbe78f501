"""Files with a secret in every place that can hold one."""

from io import BytesIO
from pathlib import Path

import nibabel as nib
import numpy as np
import pydicom
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from PIL import Image, PngImagePlugin
from pydicom import Dataset, FileDataset
from pydicom.dataset import FileMetaDataset
from pydicom.sequence import Sequence
from pydicom.uid import ExplicitVRLittleEndian

CT = "1.2.840.10008.5.1.4.1.1.2"


FEW = settings(max_examples=12, suppress_health_check=list(HealthCheck))


secrets = st.text("BCDGHJKQVWXZ", min_size=9, max_size=12)


PYDICOM = Path(pydicom.__file__).parent / "data" / "test_files"


def made_dicom(
    patient: str = "4711-ZQ", secret: str = "QUIXBYZK", date: str = "19970314", syntax=ExplicitVRLittleEndian
):
    dataset = FileDataset(None, {}, preamble=secret.encode().ljust(128, b"\0"))
    dataset.file_meta = FileMetaDataset()
    dataset.file_meta.TransferSyntaxUID = syntax
    dataset.file_meta.SourceApplicationEntityTitle = secret
    dataset.SOPClassUID, dataset.SOPInstanceUID = CT, "1.2.3.77.4711.1"
    dataset.StudyInstanceUID, dataset.SeriesInstanceUID = "1.2.3.77.4711.2", "1.2.3.77.4711.3"
    dataset.PatientName, dataset.PatientID, dataset.PatientBirthDate = f"{secret}^Anna", patient, "19410203"
    dataset.PatientAge, dataset.Modality, dataset.BodyPartExamined = "057Y", "CT", "CHEST"
    for keyword in ("InstitutionName", "StudyDescription", "AccessionNumber", "ImageComments", "StationName"):
        setattr(dataset, keyword, secret)
    dataset.Manufacturer, dataset.FilterType, dataset.DerivationDescription = secret, secret[:12], secret
    dataset.StudyDate, dataset.AcquisitionDateTime, dataset.StudyTime = date, f"{date}112233.5+0100", "112233"
    dataset.private_block(0x0009, secret, create=True).add_new(1, "LO", secret)
    dataset.add_new(0x60003000, "OW", secret.encode().ljust(12))
    inner = Dataset()
    inner.ReferencedSOPClassUID, inner.ReferencedSOPInstanceUID = CT, "1.2.3.77.4711.1"
    inner.PersonName, inner.TextValue, inner.ScheduledProcedureStepStartDate = secret, secret, date
    inner.private_block(0x0011, secret, create=True).add_new(1, "UT", secret)
    code = Dataset()
    code.CodeValue, code.CodingSchemeDesignator, code.CodeMeaning = "T-D4000", "SRT", secret
    inner.AnatomicRegionSequence = Sequence([code])
    outer = Dataset()
    outer.ReferencedImageSequence = Sequence([inner])
    dataset.SharedFunctionalGroupsSequence = Sequence([outer])
    dataset.Rows = dataset.Columns = 4
    dataset.BitsAllocated = dataset.BitsStored = 16
    dataset.HighBit, dataset.PixelRepresentation, dataset.SamplesPerPixel = 15, 0, 1
    dataset.PhotometricInterpretation = "MONOCHROME2"
    dataset.PixelData = np.arange(16, dtype=np.uint16).tobytes()
    return dataset


def saved(dataset: FileDataset) -> bytes:
    buffer = BytesIO()
    dataset.save_as(buffer, enforce_file_format=True)
    return buffer.getvalue()


def read(content: bytes) -> FileDataset:
    return pydicom.dcmread(BytesIO(content))


def made_png(secret: str) -> bytes:
    info = PngImagePlugin.PngInfo()
    info.add_text("Patient", secret)
    info.add_itxt("More", secret, zip=False)
    exif = Image.Exif()
    exif[0x0112], exif[0x013B] = 6, secret
    buffer = BytesIO()
    Image.fromarray(PIXELS).save(buffer, "PNG", pnginfo=info, exif=exif)
    return buffer.getvalue() + secret.encode()


def made_jpeg(secret: str) -> bytes:
    exif = Image.Exif()
    exif[0x0112], exif[0x013B], exif[0x0132] = 6, secret, "1997:03:14 11:22:33"
    exif.get_ifd(0x8825)[1] = "N"
    exif.get_ifd(0x8769)[0x927C] = secret.encode()
    buffer = BytesIO()
    Image.fromarray(PIXELS).save(buffer, "JPEG", exif=exif, comment=secret, progressive=True)
    return buffer.getvalue() + secret.encode()


def made_tiff(secret: str) -> bytes:
    pages = [Image.fromarray(PIXELS), Image.fromarray(PIXELS[::-1].copy())]
    buffer = BytesIO()
    tags = {270: secret, 315: secret, 306: "1997:03:14 11:22:33", 50000: secret}
    pages[0].save(buffer, "TIFF", save_all=True, append_images=pages[1:], tiffinfo=tags, compression="tiff_lzw")
    return buffer.getvalue() + secret.encode()


def made_nifti(secret: str) -> bytes:
    image = nib.Nifti1Image(np.arange(60, dtype=np.int16).reshape(3, 4, 5), np.diag([2, 3, 4, 1]))
    image.header["descrip"], image.header["db_name"], image.header["aux_file"] = secret, secret, secret
    image.header.extensions.append(nib.nifti1.Nifti1Extension("comment", secret.encode()))
    return image.to_bytes() + secret.encode()


def made_nrrd(secret: str) -> bytes:
    head = f"NRRD0005\n# {secret}\ncontent: {secret}\nname:={secret}\n"
    return (
        head.encode() + b"type: uint8\ndimension: 2\nsizes: 3 4\nencoding: raw\n\n" + bytes(range(12)) + secret.encode()
    )


def made_meta(secret: str) -> bytes:
    head = f"ObjectType = Image\nNDims = 2\nDimSize = 3 4\nElementType = MET_UCHAR\nComment = {secret}\n"
    return head.encode() + b"ElementDataFile = LOCAL\n" + bytes(range(12)) + secret.encode()


PIXELS = np.random.default_rng(0).integers(0, 256, (12, 9, 3), dtype=np.uint8)


MADE = {
    ".png": made_png,
    ".jpg": made_jpeg,
    ".tif": made_tiff,
    ".nii": made_nifti,
    ".nrrd": made_nrrd,
    ".mha": made_meta,
}
