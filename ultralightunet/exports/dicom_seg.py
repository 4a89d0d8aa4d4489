"""DICOM segmentations of the series that the images came from, through highdicom.

A segmentation belongs to the study of its series: it keeps that study's UIDs, and refers to its images. Names and dates it does not keep,
unless that is asked for (`dicom_header`): the patient is called by the pseudonym of the store.
"""

from __future__ import annotations

import logging
import re
import warnings
from collections.abc import Iterator, Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..corrections import Revision
from ..corrections.files import image_hash
from ..errors import InputError, OutputError, only_our_errors
from ..io import read_image
from ..io.dicom import read_dicom_file
from ..io.geometry import ras_from_lps
from ..models import LabelClass
from ..volume import Volume
from .dicom_header import one_line, source_header
from .terminology import TISSUE, category, kind

_LOG = logging.getLogger(__name__)


def write_dicom_seg(
    folder: Path, cases: Sequence[Revision], classes: Sequence[LabelClass], *, source: Path | None, keep_patient: bool = False
) -> Iterator[Revision]:
    """CASE.dcm for each case, and CASE-checked.dcm where not everything was checked.

    Args:
        folder: empty.
        cases: whose images were read from DICOM, here or by a host.
        classes: not used: each segmentation has the classes that were known when it was saved.
        source: folder with the series, in itself or in folders within; each case is matched by its image.
        keep_patient: whether patient and study stay as they are, for a segmentation that goes back to its study.

    Raises:
        InputError: without highdicom, `source`, or a series for every case.
        OutputError: if what was written does not read back.
    """
    del classes
    if source is None:
        raise InputError("expected the series that the images came from, found no --dicom-source; give the folder that holds them")
    if find_spec("highdicom") is None:
        raise InputError("expected highdicom to write DICOM segmentations, found none installed; pip install 'napari-ultralight[dicom]'")
    series = _matched(source, cases)
    missing = [revision.case for revision in cases if revision.image_sha256 not in series]
    if missing:
        raise InputError(
            f"expected in {source} the DICOM series of every case, found none whose image is that of {', '.join(missing[:5])}; "
            "give the folder with the series that were loaded, or export as nifti"
        )
    for revision in cases:
        files = series[revision.image_sha256]
        _write(revision, files, revision.labels().labels, revision.classes, folder / f"{revision.case}.dcm", keep_patient)
        checked = revision.checked()
        if checked is not None:
            names = (LabelClass(0, "background"), LabelClass(1, "checked", (128, 174, 128)))
            _write(revision, files, checked.astype(np.uint8), names, folder / f"{revision.case}-checked.dcm", keep_patient)
        yield revision


def _matched(source: Path, cases: Sequence[Revision]) -> dict[str, list[Path]]:
    """The files of each series whose image is that of a case, by the hash of the case's image."""
    if not source.is_dir():
        raise InputError(f"expected a folder with DICOM series, found none at {source}; check --dicom-source")
    found: dict[str, list[Path]] = {}
    for folder in (source, *sorted(path for path in source.rglob("*") if path.is_dir())):
        for uid, files in _series(folder).items():
            try:
                image = read_image(folder, series=uid)
            except InputError as error:
                # A scout or a report; were it one of ours, its case would be missed below.
                _LOG.info("passed over: %s", error)
                continue
            sha256 = image_hash(image.array, image.affine, channels=image.channels, has_spacing=image.has_spacing)
            for revision in cases:
                if revision.image_sha256 not in found and (revision.image_sha256 == sha256 or _shows(image, revision)):
                    found[revision.image_sha256] = files
    return found


def _shows(image: Volume, revision: Revision) -> bool:
    """Whether an image is that of a case in another type: 3D Slicer makes wider numbers of values that have a slope or an offset."""
    if (image.shape, image.channels) != (revision.shape, revision.channels) or not np.allclose(image.affine, revision.affine, atol=1e-3):
        return False
    kept = revision.image().array
    if kept.dtype == image.array.dtype:
        return False
    largest = float(np.abs(image.array).max())
    return all(np.allclose(one, other, rtol=0, atol=1e-6 * largest) for one, other in zip(kept, image.array, strict=True))


def _series(folder: Path) -> dict[str, list[Path]]:
    """The files of each series in a folder; a copy of a file counts once."""
    series: dict[str, dict[str, Path]] = {}
    for path in sorted(folder.iterdir()):
        if not path.is_file() or path.name.startswith("."):
            continue
        try:
            file = read_dicom_file(path)
        except InputError as error:
            _LOG.info("passed over: %s", error)
            continue
        if file is not None:
            series.setdefault(file.series, {}).setdefault(file.instance or str(path), path)
    return {uid: list(files.values()) for uid, files in series.items()}


def _write(
    revision: Revision, files: Sequence[Path], labels: NDArray[Any], classes: Sequence[LabelClass], path: Path, keep_patient: bool
) -> None:
    with only_our_errors(files[0].parent, "a series that a DICOM segmentation can refer to"):
        made = _made(revision, files, labels, classes, keep_patient)
    made.save_as(path, enforce_file_format=True)
    _read_back(path, made)


def _made(revision: Revision, files: Sequence[Path], labels: NDArray[Any], classes: Sequence[LabelClass], keep_patient: bool) -> Any:
    import highdicom
    import pydicom

    from .. import __version__

    sources = []
    for file in files:
        header = pydicom.dcmread(file, stop_before_pixels=True)
        if "NumberOfFrames" in header and int(header.NumberOfFrames) > 1:
            raise InputError(f"expected a series with one image a file, found {header.NumberOfFrames} in {file}; export as nifti")
        sources.append(source_header(header, pseudonym=revision.group, keep_patient=keep_patient))
    planes = labels[_slice_of_each(revision, sources)] if labels.ndim == 3 else labels[np.newaxis]
    with warnings.catch_warnings():
        # highdicom says so where nothing is labelled; that can be right.
        warnings.simplefilter("ignore")
        return highdicom.seg.Segmentation(
            source_images=sources,
            pixel_array=np.ascontiguousarray(planes),
            segmentation_type="BINARY",
            segment_descriptions=[_described(entry, revision.model) for entry in classes[1:]],
            series_instance_uid=highdicom.UID(),
            series_number=1,
            sop_instance_uid=highdicom.UID(),
            instance_number=1,
            manufacturer="UltraLight",
            manufacturer_model_name="UltraLight",
            software_versions=__version__,
            device_serial_number="0",
            content_label="CORRECTION",
        )


def _slice_of_each(revision: Revision, headers: Sequence[Any]) -> list[int]:
    """Which slice of the image each file is, by where it lies: files come in any order, and series run either way."""
    to_voxel = np.linalg.inv(ras_from_lps(revision.affine))
    positions = np.array([[*map(float, header["ImagePositionPatient"].value), 1.0] for header in headers])
    slices = (positions @ to_voxel.T)[:, 2]
    nearest = np.rint(slices).astype(int)
    if sorted(nearest) != list(range(revision.shape[0])) or np.abs(slices - nearest).max() > 0.1:
        raise InputError(
            f"expected a file for each of the {revision.shape[0]} slices of {revision.case}, found {len(headers)} that lie elsewhere; "
            "give a series with one time point, or export as nifti"
        )
    return [int(n) for n in nearest]


def _described(entry: LabelClass, model: str) -> Any:
    import highdicom
    from pydicom.sr.codedict import codes
    from pydicom.sr.coding import Code

    name, _, version = (one_line(part) for part in model.partition("@"))
    label = one_line(entry.name) or f"class {entry.index}"
    by = highdicom.AlgorithmIdentificationSequence(name=name, version=version or "unknown", family=codes.cid7162.ArtificialIntelligence)
    is_coded = re.fullmatch(r"\d{6,16}", entry.snomed) is not None
    category_of, kind_of = (category(entry), (kind(entry)[0], label)) if is_coded else (TISSUE, TISSUE)
    return highdicom.seg.SegmentDescription(
        segment_number=entry.index,
        segment_label=label,
        segmented_property_category=Code(category_of[0], "SCT", category_of[1]),
        segmented_property_type=Code(kind_of[0], "SCT", kind_of[1]),
        algorithm_type="SEMIAUTOMATIC" if name else "MANUAL",
        algorithm_identification=by if name else None,
        display_color=highdicom.color.CIELabColor.from_rgb(*entry.color),
    )


def _read_back(path: Path, made: Any) -> None:
    import highdicom

    found = highdicom.seg.segread(path)
    if found.PixelData != made.PixelData or found.SOPInstanceUID != made.SOPInstanceUID:
        raise OutputError(f"expected {path.name} to read back as written, found other contents; check the disk's free space and health")
