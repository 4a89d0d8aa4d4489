"""Labels to a file: written beside the target, read back, compared, and only then moved into place."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..disk import clear_once, unfinished
from ..errors import InputError, OutputError
from ..volume import Segmentation, Volume
from .formats import WRITABLE_SUFFIXES, suffix_of
from .geometry import agrees, is_size_only, itk_from_affine, lies_flat
from .reading import read_image


def write_labels(segmentation: Segmentation, path: str | Path) -> Path:
    """Write labels in the format that the suffix names; a file that is there stays whole until the new one is known to be right.

    NIfTI, NRRD and MetaImage keep where the labels are in space and what they mean, TIFF the size of a voxel, PNG neither. No name of a
    person, no path and no date goes into the file.

    Args:
        segmentation: its labels are written as uint8, or uint16 past 255.
        path: ends in one of `WRITABLE_SUFFIXES`; its folder is made if need be.

    Returns:
        `path`.

    Raises:
        OutputError: if the format cannot hold the labels, the file cannot be written, or does not read back the same.

    Example:
        >>> import numpy as np
        >>> from ultralightunet import Segmentation
        >>> from ultralightunet.io import read_labels, write_labels
        >>> labels = np.zeros((4, 5, 6), np.uint8)
        >>> labels[1, 2, 3] = 7
        >>> path = write_labels(Segmentation(labels, np.diag((0.5, 0.5, 2.0, 1.0))), "labels.nrrd")
        >>> read_labels(path).counts(), read_labels(path).spacing
        ({7: 1}, (2.0, 0.5, 0.5))
    """
    path = Path(path)
    suffix = suffix_of(path)
    labels = _storable(segmentation)
    _check_target(segmentation, path)
    # In the same folder, because a file can be moved in one step within one disk only; the suffix names the format when it is read back.
    temporary = unfinished(path.parent, suffix=suffix)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        clear_once(path.absolute().parent)
        _write(segmentation, labels, temporary, suffix)
        with temporary.open("rb+") as file:
            os.fsync(file.fileno())
        _compare(segmentation, labels, temporary)
        os.replace(temporary, path)
    except InputError as error:
        raise OutputError(
            f"expected to read back {path} as written, found a damaged file; check the disk's free space and health"
        ) from error
    except (OSError, RuntimeError, MemoryError) as error:
        reason = getattr(error, "strerror", None) or str(error).strip().split("\n")[-1] or type(error).__name__
        raise OutputError(f"expected to write {path}, found an obstacle: {reason}; free space there or choose another folder") from error
    finally:
        _remove(temporary)
    return path


def check_target(image: Volume, path: str | Path) -> None:
    """Refuse, before any work is done, a file that could not hold the labels of `image`.

    Raises:
        OutputError: if its format cannot, or it is the image's own file.

    Example:
        >>> from ultralightunet.io import check_target, read_image
        >>> check_target(read_image("sample_data/colin27_hippocampus_left.nii.gz"), "labels.png")
        Traceback (most recent call last):
        ultralightunet.errors.OutputError: expected a format that holds the volume's labels, found labels.png; write .nii.gz, .nrrd or .mha
    """
    # Labels that take no memory: only their grid is looked at.
    labels = np.broadcast_to(np.uint8(0), image.shape)
    _check_target(Segmentation(labels, image.affine, has_spacing=image.has_spacing, source=image.source), Path(path))


def _check_target(segmentation: Segmentation, path: Path) -> None:
    suffix, affine, dims = suffix_of(path), segmentation.affine, segmentation.labels.ndim
    if suffix not in WRITABLE_SUFFIXES or path.name.lower().endswith(".seg.nrrd"):
        raise OutputError(f"expected a name that ends in {', '.join(WRITABLE_SUFFIXES)} for labels, found {path.name}; change the suffix")
    try:
        if path.is_dir():
            raise OutputError(f"expected the name of a file, found the folder {path}; add a file name")
        image = segmentation.source.path
        # A link to the image, or another way to its folder, is the image too.
        if image is not None and image.is_file() and (path.resolve() == image.resolve() or (path.exists() and path.samefile(image))):
            raise OutputError(
                f"expected another name than the image's own, found {path}: labels would replace the image; choose another name"
            )
    except OSError as error:
        raise OutputError(f"expected to write {path}, found an obstacle: {error.strerror}; choose another folder") from error
    if suffix == ".png" and dims == 3:
        raise OutputError(f"expected a format that holds the volume's labels, found {path.name}; write .nii.gz, .nrrd or .mha")
    if suffix in (".tif", ".tiff") and dims == 3 and segmentation.has_spacing and not is_size_only(affine):
        raise OutputError(
            f"expected a volume without a place in space for TIFF, found one with an orientation or origin for {path.name}; "
            "write .nii.gz, .nrrd or .mha"
        )
    if suffix in (".nrrd", ".mha"):
        itk_from_affine(affine, dims if lies_flat(affine) else 3)


def _storable(segmentation: Segmentation) -> NDArray[Any]:
    """Labels as uint8, or uint16 where they are that already or exceed 255."""
    labels = segmentation.labels
    if labels.ndim not in (2, 3) or labels.size == 0 or labels.dtype.kind not in "biu":
        raise OutputError(f"expected whole-number labels (k, j, i) or (j, i), found {labels.dtype} of shape {labels.shape}")
    if labels.dtype in (np.uint8, np.uint16):
        return labels.astype(labels.dtype.newbyteorder("="), copy=False)
    if labels.min() < 0 or labels.max() > 65535:
        raise OutputError(f"expected labels from 0 to 65535, found {labels.min()} to {labels.max()}; renumber them")
    return labels.astype(np.uint8 if labels.max() <= 255 else np.uint16)


def _write(segmentation: Segmentation, labels: NDArray[Any], path: Path, suffix: str) -> None:
    if suffix in (".nii", ".nii.gz"):
        from .nifti import write_nifti

        write_nifti(segmentation, labels, path)
    elif suffix == ".png":
        from .pictures import write_png

        write_png(segmentation, labels, path)
    elif suffix in (".tif", ".tiff"):
        from .tiff import write_tiff

        write_tiff(segmentation, labels, path)
    elif suffix == ".nrrd":
        from .nrrd import write_nrrd

        write_nrrd(segmentation, labels, path)
    else:
        from .metaimage import write_metaimage

        write_metaimage(segmentation, labels, path)


def _compare(segmentation: Segmentation, labels: NDArray[Any], path: Path) -> None:
    """Read the file as a user would.

    Raises:
        OutputError: if it holds other labels, or places them elsewhere.
        InputError: if it cannot be read.
    """
    found = read_image(path)
    if found.array.dtype != labels.dtype or not np.array_equal(_at_least_3d(found.array), _at_least_3d(labels)):
        raise OutputError("expected the labels to read back as written, found others; check the disk's free space and health")
    if found.source.format == "image":
        return
    if not agrees(segmentation.affine, found.affine, labels.shape):
        raise OutputError(
            "expected the labels to read back at the place of the image, found them elsewhere; write .nii.gz, which keeps every affine"
        )


def _at_least_3d(array: NDArray[Any]) -> NDArray[Any]:
    """(j, i) as the single slice (1, j, i), which some formats cannot tell from it."""
    return array[np.newaxis] if array.ndim == 2 else array


def _remove(path: Path) -> None:
    try:
        path.unlink(missing_ok=True)
    except OSError:
        # The folder itself is out of reach, and so nothing was written there.
        return
