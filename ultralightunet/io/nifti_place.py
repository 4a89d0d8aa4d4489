"""Where a NIfTI file places its image: in two ways, of which every program prefers the one or the other.

Both are kept with the image and written with its labels, so that labels lie on their image in every program.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np

from ..volume import Affine, Segmentation, Volume, spacing_of
from .geometry import displacement

_MILLIMETRES = {1: 1000.0, 2: 1.0, 3: 0.001}
"""How long NIfTI's units of length are: metres, millimetres, micrometres."""

_SMALLEST, _LARGEST = 0.05, 30.0
"""Sizes of voxels that are millimetres beyond doubt; most programs write no unit."""


@dataclass(frozen=True)
class Transforms:
    """Fields of a NIfTI header, as they are in the file.

    Attributes:
        version: of the format, 1 or 2.
        dims: axes in space, 2 or 3.
        length_unit: NIfTI's code, 0 for none.
        sform_code: 0 where there is no sform.
        qform_code: 0 where there is no qform.
        pixdim: handedness of the qform, and the voxel size along i, j, k.
        quatern: b, c, d of the qform's rotation.
        qoffset: of the qform.
        srow: of the sform, 12 numbers.
    """

    version: int
    dims: int
    length_unit: int
    sform_code: int
    qform_code: int
    pixdim: tuple[float, ...]
    quatern: tuple[float, ...]
    qoffset: tuple[float, ...]
    srow: tuple[float, ...]

    @classmethod
    def of(cls, header: Any) -> Transforms:
        """Those of nibabel's `header`."""
        return cls(
            version=2 if header.sizeof_hdr == 540 else 1,
            dims=min(int(header["dim"][0]), 3),
            length_unit=int(header["xyzt_units"]) & 7,
            sform_code=int(header["sform_code"]),
            qform_code=int(header["qform_code"]),
            pixdim=tuple(float(value) for value in header["pixdim"][:4]),
            quatern=tuple(float(header[f"quatern_{name}"]) for name in "bcd"),
            qoffset=tuple(float(header[f"qoffset_{name}"]) for name in "xyz"),
            srow=tuple(float(value) for name in "xyz" for value in header[f"srow_{name}"]),
        )

    @property
    def length(self) -> float:
        """Millimetres in the header's unit; one where it names none, as every program takes it."""
        return _MILLIMETRES.get(self.length_unit, 1.0)

    def write_to(self, header: Any) -> None:
        """Set the fields of nibabel's `header`; where only a sheared sform was, add the rotation next to it, for ITK opens no shear."""
        header["xyzt_units"] = self.length_unit if self.length_unit in _MILLIMETRES else 2
        header["sform_code"], header["qform_code"] = self.sform_code, self.qform_code
        header["pixdim"][:4] = self.pixdim
        for name, value in zip("bcd", self.quatern, strict=True):
            header[f"quatern_{name}"] = value
        for name, value in zip("xyz", self.qoffset, strict=True):
            header[f"qoffset_{name}"] = value
        for name, row in zip("xyz", np.reshape(self.srow, (3, 4)), strict=True):
            header[f"srow_{name}"] = row
        if self.sform_code and not self.qform_code and is_sheared(header.get_sform()):
            header.set_qform(header.get_sform(), self.sform_code)

    def to_header(self, header: Any) -> dict[str, Any]:
        """Facts for `Source.header`: these fields, and "places", where other programs may see the image (affines in mm)."""
        found = [header.get_qform(coded=True)[0], header.get_sform(coded=True)[0]]
        if self.sform_code and min(np.abs(self.pixdim[1:4])) > 0:
            # ITK takes directions from the sform and sizes from pixdim.
            sform = header.get_sform()
            lengths = np.sqrt((sform[:3, :3] ** 2).sum(0))
            sform[:3, :3] *= np.abs(self.pixdim[1:4]) / np.maximum(lengths, 1e-12)
            found.append(sform)
        scale = np.diag((self.length, self.length, self.length, 1.0))
        places = [(scale @ affine).tolist() for affine in found if affine is not None and np.isfinite(affine).all()]
        return {**asdict(self), "places": places}

    @classmethod
    def from_header(cls, facts: Mapping[str, Any]) -> Transforms | None:
        """The inverse of `to_header`, None where the facts tell of none."""
        names = cls.__dataclass_fields__
        return cls(**{name: facts[name] for name in names}) if names.keys() <= facts.keys() else None

    def notes(self, affine: Affine) -> list[str]:
        """What is to be said of them.

        Args:
            affine: that was chosen of them, in mm.
        """
        said = []
        sizes = np.array(spacing_of(affine, 3)[::-1][: self.dims])
        if self.length_unit not in _MILLIMETRES and not ((sizes > _SMALLEST) & (sizes < _LARGEST)).all():
            said.append(
                "the header names no unit of length, and voxels of a body part are seldom so large or small; millimetres were taken"
            )
        told = np.abs(self.pixdim[1 : 1 + self.dims]) * self.length
        if self.sform_code and not np.allclose(sizes, told, rtol=0.01):
            first, second = (" x ".join(f"{size:.4g}" for size in values) for values in (sizes, told))
            said.append(
                f"the header contradicts itself: its sform says that voxels measure {first} mm, its pixdim {second} mm; the sform was "
                "taken, and volumes are wrong if pixdim is right"
            )
        if min(self.pixdim[1 : 1 + self.dims]) < 0:
            said.append(
                "the header gives voxel sizes below zero, which NIfTI does not have; their amounts were taken, and other programs may show "
                "the image mirrored or elsewhere"
            )
        return said


def is_sheared(affine: Affine) -> bool:
    """Whether axes are so far from right angles that ITK opens no file which says so."""
    axes = affine[:3, :3] / np.sqrt((affine[:3, :3] ** 2).sum(0))
    return bool(np.abs(axes.T @ axes - np.eye(3)).max() > 1e-5)


def set_both(header: Any, affine: Affine, code: int = 1) -> None:
    """Place nibabel's `header` for an image that no NIfTI file holds: the affine as sform, the nearest rotation as qform.

    A qform that is marked as absent would not do: ITK opens no file without axes at right angles.
    """
    header.set_sform(affine, code)
    header.set_qform(affine, code, strip_shears=True)


def moved_onto(labels: Segmentation, image: Volume | Segmentation) -> Segmentation:
    """Labels that another program has drawn on an image, where this one puts the image.

    A program that prefers the other transform of the image's file writes its labels there: they are moved. Labels that lie on the image
    already, or nowhere near any of its places, are returned as they are.
    """
    shape = labels.labels.shape
    near = 0.1 * min(spacing_of(image.affine, len(shape)))
    if displacement(labels.affine, image.affine, shape) <= near:
        return labels
    of_image = [np.asarray(place, dtype=np.float64) for place in image.source.header.get("places", ())]
    of_labels = [labels.affine, *(np.asarray(place, dtype=np.float64) for place in labels.source.header.get("places", ()))]
    places = [(place, other) for place in (image.affine, *of_image) for other in of_labels]
    if any(displacement(place, other, shape) <= near for place, other in places):
        return replace(labels, affine=image.affine)
    return labels
