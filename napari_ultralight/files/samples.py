"""File > Open Sample: real scans that come with the package."""

from __future__ import annotations

from pathlib import Path

from ultralightunet.errors import InputError

from ..layers.grid import LayerData
from .reader import read


def sample_path(name: str) -> Path:
    """A sample's file: inside the installed package, or beside it in a checkout.

    Raises:
        InputError: if it is in neither.
    """
    package = Path(__file__).parent.parent
    for folder in (package / "sample_data", package.parent / "sample_data"):
        if (folder / name).is_file():
            return folder / name
    raise InputError(f"expected the sample {name} with the package, found none; install napari-ultralight again")


def colin27() -> list[LayerData]:
    """A whole head, T1-weighted MRI, 1 mm."""
    return _open("colin27_t1.nii.gz", "Colin27 head")


def colin27_hippocampus() -> list[LayerData]:
    """The part of that head around its left hippocampus."""
    return _open("colin27_hippocampus_left.nii.gz", "Colin27 hippocampus")


def tumour_mri_1() -> list[LayerData]:
    """A head with a tumour, MRI with thick slices."""
    return _open("tumour_mri_1.nrrd", "Tumour MRI 1")


def tumour_mri_2() -> list[LayerData]:
    """Another head with a tumour, MRI with thick slices."""
    return _open("tumour_mri_2.nrrd", "Tumour MRI 2")


def _open(file: str, name: str) -> list[LayerData]:
    return [(data, {**arguments, "name": name}, kind) for data, arguments, kind in read(str(sample_path(file)))]
