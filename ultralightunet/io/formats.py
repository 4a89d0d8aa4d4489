"""Which file is of which format, and what the labels made from it are called."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable, Mapping
from pathlib import Path
from types import MappingProxyType

from ..errors import InputError
from ..volume import Source

SUPPORTED_SUFFIXES: Mapping[str, str] = MappingProxyType(
    {
        ".nii": "nifti",
        ".nii.gz": "nifti",
        ".hdr": "analyze",
        ".hdr.gz": "analyze",
        ".img": "analyze",
        ".img.gz": "analyze",
        ".mgz": "freesurfer",
        ".mgh": "freesurfer",
        ".nrrd": "nrrd",
        ".nhdr": "nrrd",
        ".mha": "metaimage",
        ".mhd": "metaimage",
        ".dcm": "dicom",
        ".dicom": "dicom",
        ".ima": "dicom",
        ".png": "image",
        ".jpg": "image",
        ".jpeg": "image",
        ".bmp": "image",
        ".webp": "image",
        ".tif": "image",
        ".tiff": "image",
    }
)
"""Suffixes, in lower case, of the files that can be read, and the `Source.format` of each; DICOM files may have none."""

WRITABLE_SUFFIXES = (".nii.gz", ".nii", ".nrrd", ".mha", ".png", ".tif", ".tiff")
"""Suffixes that labels can be written to."""

_OUTPUT_SUFFIXES = {"nrrd": ".nrrd", "metaimage": ".mha", "image": ".png"}
"""By `Source.format`; NIfTI holds the labels of every other one."""

_ARCHIVES = (".zip", ".7z", ".rar", ".tar", ".tgz", ".tar.gz", ".tar.bz2", ".tar.xz", ".gz", ".bz2", ".xz", ".zst")


def suffix_of(path: Path) -> str:
    """The suffix that names the format, in lower case, e.g. ".nii.gz"; "" if it is none that can be read."""
    name = path.name.lower()
    return next((suffix for suffix in SUPPORTED_SUFFIXES if name.endswith(suffix)), "")


def format_of(path: Path) -> str:
    """`Source.format` of an existing file or folder.

    Raises:
        InputError: if there is nothing, an empty file, or a file of another kind.
    """
    try:
        if path.is_dir():
            return "dicom"
        if not path.exists():
            raise InputError(f"expected an image, found nothing at {path}; check the name")
        if not path.is_file():
            raise InputError(f"expected an image, found a device or a pipe at {path}; give a file")
        if path.stat().st_size == 0:
            raise InputError(f"expected an image, found an empty file {path}; copy or download it again")
        suffix = suffix_of(path)
        if not suffix and looks_like_dicom(path):
            return "dicom"
    except OSError as error:
        raise InputError(f"expected an image that can be read, found {path}: {error.strerror}; check its permissions") from error
    if not suffix and path.name.lower().endswith(_ARCHIVES):
        raise InputError(f"expected an image, found the archive {path}; unpack it and give the folder with the series, or the image, in it")
    if not suffix:
        raise InputError(
            f"expected a folder with a DICOM series or a file {', '.join(SUPPORTED_SUFFIXES)}, found {path}; convert it to NIfTI"
        )
    return SUPPORTED_SUFFIXES[suffix]


def looks_like_dicom(path: Path) -> bool:
    """Whether a file begins as DICOM files do: after a preamble, or (older ones) at once with group 2 or 8."""
    with path.open("rb") as file:
        start = file.read(132)
    return start[128:] == b"DICM" or (start[:2] in (b"\x02\x00", b"\x08\x00") and start[3:4] == b"\x00" and len(start) == 132)


def is_dicom_folder(path: str | Path) -> bool:
    """Whether `path` is a folder that holds a DICOM file, or a CD's directory, itself, not further down.

    Example:
        >>> from ultralightunet.io import is_dicom_folder
        >>> is_dicom_folder("sample_data")
        False
    """
    try:
        files = [file for file in sorted(Path(path).iterdir()) if file.is_file()]
        return any(looks_like_dicom(file) for file in files)
    except OSError:
        return False


def base_name(path: str | Path) -> str:
    """File name without the suffix that names its format: "scan.v2.nii.gz" gives "scan.v2"; a folder keeps its whole name.

    Example:
        >>> from ultralightunet.io import base_name
        >>> base_name("scans/head.v2.nii.gz")
        'head.v2'
    """
    path = Path(path)
    if path.is_dir():
        return path.resolve().name
    return path.name[: len(path.name) - len(suffix_of(path))] or path.name


def output_suffix(source: Source) -> str:
    """Suffix of the labels' file: the image's own format where it holds labels and geometry, NIfTI for DICOM, PNG for pictures.

    Example:
        >>> from ultralightunet.io import output_suffix
        >>> from ultralightunet.volume import Source
        >>> output_suffix(Source(format="dicom")), output_suffix(Source(format="nrrd"))
        ('.nii.gz', '.nrrd')
    """
    if source.format == "image" and source.header.get("pages", 1) > 1:
        return ".tif"
    return _OUTPUT_SUFFIXES.get(source.format, ".nii.gz")


def output_paths(inputs: Iterable[str | Path], folder: str | Path) -> dict[Path, Path]:
    """Where the labels of each of several images go: `folder`, with the image's base name.

    Raises:
        InputError: if an image is missing or of an unknown kind, two have one base name, or labels would replace an image.

    Example:
        >>> from ultralightunet.io import output_paths
        >>> targets = output_paths(["sample_data/colin27_t1.nii.gz", "sample_data/tumour_mri_1.nrrd"], "labels")
        >>> [target.name for target in targets.values()]
        ['colin27_t1.nii.gz', 'tumour_mri_1.nrrd']
    """
    images = [Path(image) for image in inputs]
    targets = {image: Path(folder) / (base_name(image) + _suffix_for(image)) for image in images}
    taken: dict[str, Path] = {}
    for image in images:
        # Without case, and with accents in one way, because these names are one file on Windows and macOS.
        name = unicodedata.normalize("NFC", base_name(image).lower())
        if name in taken:
            raise InputError(
                f"expected inputs with different names, found {taken[name]} and {image}; rename one or segment them one at a time"
            )
        taken[name] = image
    originals = {image.resolve(): image for image in images}
    for target in targets.values():
        if target.resolve() in originals:
            raise InputError(
                f"expected a folder other than the images' own, found that labels would replace {target}; choose another folder"
            )
    return targets


def _suffix_for(image: Path) -> str:
    kind = format_of(image)
    pages = 1
    if kind == "image" and suffix_of(image) in (".tif", ".tiff"):
        from .tiff import count_slices

        pages = count_slices(image)
    return output_suffix(Source(path=image, format=kind, header={"pages": pages}))
