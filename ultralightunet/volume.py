"""An image and its labels, as arrays with the geometry that places them in the patient."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from .errors import InputError

if TYPE_CHECKING:
    from .models import LabelClass

Affine = NDArray[np.float64]


@dataclass(frozen=True)
class Source:
    """Where an image came from; kept so that labels can be written the way the image was.

    Attributes:
        path: file or folder.
        format: "nifti", "analyze", "freesurfer", "nrrd", "metaimage", "dicom", "image" (PNG, JPEG, BMP, WebP, TIFF) or "array".
        header: what a writer of that format needs again, e.g. NIfTI's sform and qform codes; no patient data.
    """

    path: Path | None = None
    format: str = "array"
    header: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, eq=False)
class Volume:
    """A 2D or 3D image.

    Attributes:
        array: (k, j, i) for 3D, (j, i) for 2D; a colour image has its channels as one more, last axis. Any real dtype.
        affine: 4x4, takes a voxel index (i, j, k, 1) to RAS+ millimetres: the same matrix that NIfTI stores and that
            3D Slicer calls IJKToRAS. A 2D image has k = 0.
        channels: 1, or the length of the last axis.
        has_spacing: False where the format does not say how large a voxel is (PNG, JPEG); volumes are then counted in
            voxels, and a model that needs millimetres takes 1 mm.
        source: where it came from.
        notes: what a person should know who works with it, one sentence each, such as a header that contradicts itself.

    Raises:
        InputError: for a shape or affine that no image has.

    Example:
        >>> import numpy as np
        >>> from ultralightunet import Volume
        >>> volume = Volume(np.zeros((20, 64, 64), np.int16), np.diag((0.9, 0.9, 5.0, 1.0)))
        >>> volume.shape, volume.spacing
        ((20, 64, 64), (5.0, 0.9, 0.9))
        >>> Volume(np.zeros((64, 48, 3), np.uint8), channels=3, has_spacing=False).shape
        (64, 48)
    """

    array: NDArray[Any]
    affine: Affine = field(default_factory=lambda: np.eye(4))
    channels: int = 1
    has_spacing: bool = True
    source: Source = field(default_factory=Source)
    notes: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        object.__setattr__(self, "affine", checked_affine(self.affine))
        if self.spatial_dims not in (2, 3) or (self.channels > 1 and self.array.shape[-1] != self.channels):
            raise InputError(
                f"expected an image (k, j, i) or (j, i), channels last, found shape {self.array.shape} with {self.channels} "
                "channel(s); choose one volume of a series, or say how many channels there are"
            )
        if 0 in self.array.shape:
            raise InputError(f"expected an image with voxels, found the empty shape {self.array.shape}")

    @property
    def spatial_dims(self) -> int:
        """2 or 3."""
        return self.array.ndim - (1 if self.channels > 1 else 0)

    @property
    def shape(self) -> tuple[int, ...]:
        """Voxels along (k, j, i) or (j, i), without channels."""
        return self.array.shape[: self.spatial_dims]

    @property
    def spacing(self) -> tuple[float, ...]:
        """Voxel size in mm along the axes of `shape`."""
        return spacing_of(self.affine, self.spatial_dims)


@dataclass(frozen=True, eq=False)
class Segmentation:
    """Labels on the grid of the image they were made for.

    Attributes:
        labels: uint8 (uint16 past 255 classes), (k, j, i) or (j, i); 0 is background.
        affine: as `Volume.affine`, equal to the image's.
        classes: what each label means, background first.
        has_spacing: as `Volume.has_spacing`.
        source: of the image.
        model: NAME@VERSION of the model, or "" for labels made by hand.
        facts: how the labels came about (engine, device, window, seconds per stage), JSON-serialisable.

    Example:
        >>> import numpy as np
        >>> from ultralightunet import LabelClass, Segmentation
        >>> labels = np.zeros((10, 10, 10), np.uint8)
        >>> labels[2:7, 2:7, 2:7] = 1
        >>> found = Segmentation(labels, np.eye(4), (LabelClass(0, "background"), LabelClass(1, "tumour")))
        >>> found.counts(), found.volumes_ml()
        ({1: 125}, {1: 0.125})
        >>> found.save("labels.nii.gz").name
        'labels.nii.gz'
    """

    labels: NDArray[Any]
    affine: Affine
    classes: tuple[LabelClass, ...] = ()
    has_spacing: bool = True
    source: Source = field(default_factory=Source)
    model: str = ""
    facts: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        object.__setattr__(self, "affine", checked_affine(self.affine))

    @property
    def spacing(self) -> tuple[float, ...]:
        """Voxel size in mm along the axes of `labels`."""
        return spacing_of(self.affine, self.labels.ndim)

    def counts(self) -> dict[int, int]:
        """Voxels of each class of `classes`, and of each other label that occurs; without background."""
        length = max(max((c.index for c in self.classes), default=0), int(self.labels.max(initial=0))) + 1
        # Slab by slab, because bincount makes a copy of eight bytes a voxel.
        found = sum((np.bincount(slab.ravel(), minlength=length) for slab in self.labels), start=np.zeros(length, np.int64))
        named = {c.index for c in self.classes}
        return {index: int(n) for index, n in enumerate(found) if index and (n or index in named)}

    def volumes_ml(self) -> dict[int, float] | None:
        """Volume of each class in millilitres, or None for a 2D image or one without a known voxel size."""
        if not self.has_spacing or self.labels.ndim != 3:
            return None
        voxel_ml = abs(float(np.linalg.det(self.affine[:3, :3]))) / 1000
        return {index: count * voxel_ml for index, count in self.counts().items()}

    def save(self, path: str | Path) -> Path:
        """Write to a file whose format its suffix names; see `ultralightunet.io.write_labels`."""
        from .io import write_labels

        return write_labels(self, Path(path))


def spacing_of(affine: Affine, spatial_dims: int) -> tuple[float, ...]:
    """Voxel size in mm in the order of the array's axes: (k, j, i) or (j, i)."""
    sizes = np.sqrt((affine[:3, :3] ** 2).sum(0))
    return tuple(float(s) for s in sizes[:spatial_dims][::-1])


def checked_affine(affine: Any) -> Affine:
    """`affine` as a 4x4 float64 array.

    Raises:
        InputError: if it is not 4x4, not finite, or does not place voxels in three dimensions.
    """
    matrix = np.array(affine, dtype=np.float64)
    if matrix.shape != (4, 4):
        raise InputError(f"expected a 4x4 affine, found shape {matrix.shape}")
    if not np.isfinite(matrix).all() or not np.allclose(matrix[3], (0, 0, 0, 1)):
        raise InputError(
            "expected a finite affine whose last row is 0 0 0 1; the image's header is damaged, save it again with a valid orientation"
        )
    sizes = np.sqrt((matrix[:3, :3] ** 2).sum(0))
    if (sizes < 1e-6).any() or abs(np.linalg.det(matrix[:3, :3] / np.maximum(sizes, 1e-12))) < 1e-3:
        raise InputError(
            "expected an affine with three independent axes, found a zero or singular one; "
            "the image's header is damaged, save it again with a valid orientation"
        )
    return matrix
