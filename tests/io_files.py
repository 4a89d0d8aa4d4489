"""Small real files for the tests of reading and writing."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
import SimpleITK as sitk
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.sequence import Sequence as Items
from pydicom.uid import ExplicitVRLittleEndian, generate_uid

CT = "1.2.840.10008.5.1.4.1.1.2"
ENHANCED_MR = "1.2.840.10008.5.1.4.1.1.4.1"
FILM = "1.2.840.10008.5.1.4.1.1.7.2"
REPORT = "1.2.840.10008.5.1.4.1.1.88.11"


@contextmanager
def quiet_itk() -> Iterator[None]:
    """Keep ITK's warnings off stderr."""
    before = sitk.ProcessObject.GetGlobalWarningDisplay()
    sitk.ProcessObject.SetGlobalWarningDisplay(False)
    try:
        yield
    finally:
        sitk.ProcessObject.SetGlobalWarningDisplay(before)


def rotation(random: np.random.Generator) -> np.ndarray:
    """A random 3x3 rotation."""
    matrix, _ = np.linalg.qr(random.normal(size=(3, 3)))
    return matrix * np.sign(np.linalg.det(matrix))


def random_affine(random: np.random.Generator, *, oblique: bool = True) -> np.ndarray:
    """Axes permuted, flipped, anisotropic, rotated if `oblique`, with an origin some 100 mm away."""
    axes = np.eye(3)[random.permutation(3)] * random.choice([-1, 1], 3)
    if oblique:
        axes = rotation(random) @ axes
    affine = np.eye(4)
    affine[:3, :3] = axes * random.uniform(0.3, 6.5, 3)
    affine[:3, 3] = random.uniform(-150, 150, 3)
    return affine


def blobs(random: np.random.Generator, shape: Sequence[int] = (5, 6, 7), top: int = 3, dtype: Any = np.uint8) -> np.ndarray:
    """Random labels 0 to `top`, all of them present."""
    labels = random.integers(0, top + 1, shape).astype(dtype)
    labels.flat[: top + 1] = np.arange(top + 1)
    return labels


def write_nii(path: Path, array: np.ndarray, affine: np.ndarray | None = None, **header: Any) -> Path:
    """A NIfTI file of `array` (k, j, i); `header` sets fields of its header."""
    image = nib.Nifti1Image(array.T, np.eye(4) if affine is None else affine)
    for name, value in header.items():
        image.header[name] = value
    image.to_filename(path)
    return path


def dicom(path: Path, pixels: np.ndarray, **tags: Any) -> Path:
    """A DICOM file of `pixels` (j, i), (frame, j, i) or, in colour, with three values last; `tags` by keyword, None removes one."""
    header = Dataset()
    header.SOPClassUID = tags.pop("SOPClassUID", CT)
    header.SOPInstanceUID = tags.pop("SOPInstanceUID", generate_uid())
    header.file_meta = FileMetaDataset()
    header.file_meta.TransferSyntaxUID = tags.pop("TransferSyntaxUID", ExplicitVRLittleEndian)
    header.file_meta.MediaStorageSOPClassUID = header.SOPClassUID
    header.file_meta.MediaStorageSOPInstanceUID = header.SOPInstanceUID
    header.StudyInstanceUID = "1.2.3"
    header.SeriesInstanceUID = "1.2.3.4"
    header.Modality = "CT"
    header.PatientName = "Secret^Patient"
    header.PatientID = "PID-4711"
    colour = pixels.shape[-1] == 3 and pixels.dtype == np.uint8
    plane = pixels.shape[:-1] if colour else pixels.shape
    header.Rows, header.Columns = plane[-2:]
    if len(plane) > 2:
        header.NumberOfFrames = plane[0]
    header.SamplesPerPixel = 3 if colour else 1
    header.PhotometricInterpretation = "RGB" if colour else "MONOCHROME2"
    if colour:
        header.PlanarConfiguration = 0
    header.BitsAllocated = header.BitsStored = 8 * pixels.dtype.itemsize
    header.HighBit = header.BitsStored - 1
    header.PixelRepresentation = int(pixels.dtype.kind == "i")
    header.PixelData = np.ascontiguousarray(pixels).tobytes()
    for name, value in tags.items():
        if value is not None:
            setattr(header, name, value)
        elif name in header:
            delattr(header, name)
    header.save_as(path, enforce_file_format=True)
    return path


def dicom_series(
    folder: Path,
    stack: np.ndarray,
    *,
    orientation: Sequence[float] = (1, 0, 0, 0, 1, 0),
    origin: Sequence[float] = (-20.0, -30.0, 40.0),
    step: Sequence[float] | None = None,
    pixel: Sequence[float] = (0.7, 0.5),
    names: Sequence[str] | None = None,
    numbers: Sequence[int] | None = None,
    skip: Sequence[int] = (),
    **tags: Any,
) -> np.ndarray:
    """A series of `stack` (k, j, i), slice k at origin + k * step (2.5 mm along the normal); `pixel` is the spacing along j, i.

    Returns:
        The LPS affine from (i, j, k).
    """
    folder.mkdir(parents=True, exist_ok=True)
    row, column = np.reshape(orientation, (2, 3)).astype(float)
    along = 2.5 * np.cross(row, column) if step is None else np.asarray(step, dtype=float)
    for k, plane in enumerate(stack):
        if k in skip:
            continue
        placed = {
            "ImageOrientationPatient": [float(f"{value:.12f}") for value in orientation],
            "ImagePositionPatient": [float(f"{value:.8f}") for value in np.asarray(origin) + k * along],
            "PixelSpacing": list(pixel),
            "SliceThickness": 2.5,
            "InstanceNumber": numbers[k] if numbers else k + 1,
        }
        dicom(folder / (names[k] if names else f"IM{k:04d}.dcm"), plane, **(placed | tags))
    lps = np.eye(4)
    lps[:3, :3] = np.stack([row * pixel[1], column * pixel[0], along], axis=1)
    lps[:3, 3] = origin
    return lps


def enhanced(path: Path, planes: np.ndarray, heights: Sequence[float], *, slopes: Sequence[float] | None = None, **tags: Any) -> Path:
    """An enhanced multi-frame MR of `planes` (frame, j, i), axial, frame n at z = heights[n] mm."""
    shared, orientation, measures = Dataset(), Dataset(), Dataset()
    orientation.ImageOrientationPatient = [1, 0, 0, 0, 1, 0]
    measures.PixelSpacing = [0.7, 0.5]
    measures.SliceThickness = 2.0
    shared.PlaneOrientationSequence = Items([orientation])
    shared.PixelMeasuresSequence = Items([measures])
    frames = []
    for n, height in enumerate(heights):
        frame, place, content = Dataset(), Dataset(), Dataset()
        place.ImagePositionPatient = [10.0, 20.0, float(height)]
        content.DimensionIndexValues = [1, n + 1]
        frame.PlanePositionSequence = Items([place])
        frame.FrameContentSequence = Items([content])
        if slopes is not None:
            values = Dataset()
            values.RescaleSlope, values.RescaleIntercept, values.RescaleType = slopes[n], 3, "US"
            frame.PixelValueTransformationSequence = Items([values])
        frames.append(frame)
    groups = {"SharedFunctionalGroupsSequence": Items([shared]), "PerFrameFunctionalGroupsSequence": Items(frames)}
    return dicom(path, planes, SOPClassUID=ENHANCED_MR, Modality="MR", **groups, **tags)
