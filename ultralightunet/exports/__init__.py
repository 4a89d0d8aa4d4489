"""A store of corrections in the layouts of other tools: copies on the same grid, under pseudonyms."""

from __future__ import annotations

import os
from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path
from types import MappingProxyType

from ..corrections import Revision, Role, Store
from ..disk import folder_beside, sync_files
from ..errors import InputError, OutputError
from ..events import Progress, finish
from ..models import LabelClass
from .bids import write_bids
from .dicom_seg import write_dicom_seg
from .folders import write_msd, write_nifti_folders, write_nnunet
from .seg_nrrd import write_seg_nrrd

__all__ = ["FORMATS", "export", "exporting"]

Exporter = Callable[[Path, Sequence[Revision], Sequence[LabelClass]], Iterator[Revision]]
"""Writes cases into an empty folder and yields each one that is done."""

FORMATS: Mapping[str, Exporter] = MappingProxyType(
    {
        "nnunet": write_nnunet,
        "msd": write_msd,
        "bids": write_bids,
        "dicom-seg": partial(write_dicom_seg, source=None),
        "seg-nrrd": write_seg_nrrd,
        "nifti": write_nifti_folders,
    }
)
"""What can be written, by the name that the command line knows."""


def export(
    store: Store,
    folder: str | Path,
    *,
    format: str,
    role: Role | None = None,
    dicom_source: Path | None = None,
    keep_patient: bool = False,
) -> Path:
    """Write the latest correction of each case to a new folder, whole or not at all.

    Args:
        store: is not changed.
        folder: must not exist, or be empty.
        format: one of `FORMATS`.
        role: only the cases that train, or only those that are held out.
        dicom_source: for "dicom-seg", the folder with the series that the images came from.
        keep_patient: for "dicom-seg", whether the segmentations keep name, number and dates of patient and study, to go back to that study.

    Returns:
        `folder`.

    Raises:
        InputError: if there is nothing to export, or a correction is damaged.
        OutputError: if the folder holds something, or cannot be written.

    Example:
        >>> import numpy as np
        >>> from ultralightunet import LabelClass, Segmentation, Volume
        >>> from ultralightunet.corrections import Store
        >>> from ultralightunet.exports import export
        >>> scan = Volume(np.arange(24.0).reshape(2, 3, 4))
        >>> labels = Segmentation((scan.array > 20).astype(np.uint8), scan.affine, (LabelClass(0, "background"), LabelClass(1, "liver")))
        >>> store = Store("liver-corrections")
        >>> revision = store.add(scan, labels, None)
        >>> sorted(path.name for path in export(store, "for-nnunet", format="nnunet").iterdir())
        ['dataset.json', 'imagesTr', 'labelsTr']
    """
    return finish(exporting(store, folder, format=format, role=role, dicom_source=dicom_source, keep_patient=keep_patient))


def exporting(
    store: Store,
    folder: str | Path,
    *,
    format: str,
    role: Role | None = None,
    dicom_source: Path | None = None,
    keep_patient: bool = False,
) -> Generator[Progress, None, Path]:
    """As `export`, with an event after each case.

    Example:
        >>> import numpy as np
        >>> from ultralightunet import LabelClass, Segmentation, Volume
        >>> from ultralightunet.corrections import Store
        >>> from ultralightunet.exports import exporting
        >>> scan = Volume(np.arange(24.0).reshape(2, 3, 4))
        >>> labels = Segmentation((scan.array > 20).astype(np.uint8), scan.affine, (LabelClass(0, "background"), LabelClass(1, "liver")))
        >>> store = Store("liver-corrections")
        >>> revision = store.add(scan, labels, None)
        >>> [(event.done, event.total) for event in exporting(store, "plain", format="nifti")]
        [(0, 1), (1, 1)]
    """
    folder = Path(folder)
    if format not in FORMATS:
        raise InputError(f"expected a format {', '.join(FORMATS)}, found {format!r}; choose one of them")
    cases = store.cases(role)
    if not cases:
        held = f" with the role {role}" if role else ""
        raise InputError(f"expected corrections{held} in {store.folder}, found none; add some with `ultralight corrections add`")
    writer = FORMATS[format]
    if format == "dicom-seg":
        writer = partial(write_dicom_seg, source=dicom_source, keep_patient=keep_patient)
    try:
        if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
            raise OutputError(f"expected a new or empty folder, found other things at {folder}; choose another folder")
        parent = folder.absolute().parent
        parent.mkdir(parents=True, exist_ok=True)
        with folder_beside(parent, "exporting") as beside:
            yield Progress("Exporting", 0, len(cases))
            for done, _ in enumerate(writer(beside, cases, store.classes), start=1):
                yield Progress("Exporting", done, len(cases))
            sync_files(beside)
            if folder.exists():
                folder.rmdir()
            os.replace(beside, folder)
    except OSError as error:
        reason = error.strerror or str(error)
        raise OutputError(f"expected to write {folder}, found an obstacle: {reason}; free space there or choose another folder") from error
    return folder
