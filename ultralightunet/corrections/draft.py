"""A correction on its way into the store: everything that takes time is done before the store is locked."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..disk import write_new
from ..errors import InputError
from ..models import LabelClass
from ..volume import Segmentation, Volume
from .files import as_json, content_hash, image_hash, packed_nifti
from .index import Entry
from .layout import CHECKED, FACTS, LABELS, PREDICTION, image_names
from .records import Revision, to_facts
from .roles import Role
from .summary import Summary


@dataclass
class Draft:
    """What is to be written.

    Attributes:
        image: of the correction.
        image_sha256: see `image_hash`.
        classes: what the labels mean.
        summary: what changes.
        modality: as `Model.modality`.
        model: that made the prediction, or "".
        content: as `Revision.content`.
        blobs: the packed files of the revision by name.
        image_blobs: those of the image, empty if the case is known.
    """

    image: Volume
    image_sha256: str
    classes: tuple[LabelClass, ...]
    summary: Summary
    modality: str
    model: str
    content: Mapping[str, str]
    blobs: Mapping[str, bytes]
    image_blobs: dict[str, bytes] = field(default_factory=dict)

    @classmethod
    def of(
        cls,
        image: Volume,
        labels: Segmentation,
        prediction: Segmentation | None,
        checked: NDArray[np.bool_] | None,
        summary: Summary,
        classes: tuple[LabelClass, ...],
        modality: str,
    ) -> Draft:
        """Hash and pack what a correction is made of; the labels take the image's affine, to the last bit."""
        kind = np.uint8 if len(classes) <= 256 else np.uint16
        arrays: dict[str, NDArray[Any]] = {LABELS: labels.labels.astype(kind)}
        if prediction is not None:
            arrays[PREDICTION] = prediction.labels.astype(kind)
        if checked is not None:
            arrays[CHECKED] = checked.astype(np.uint8)
        return cls(
            image=image,
            image_sha256=image_hash(image.array, image.affine, channels=image.channels, has_spacing=image.has_spacing),
            classes=classes,
            summary=summary,
            modality=modality,
            model=prediction.model if prediction is not None else "",
            content={name.removesuffix(".nii.gz"): content_hash(array) for name, array in arrays.items()},
            blobs={name: packed_nifti(array, image.affine, has_spacing=image.has_spacing) for name, array in arrays.items()},
        )

    @property
    def case(self) -> str:
        """Of the image: the same image always has the same one."""
        return self.image_sha256[:16]

    def check_fits(self, other: Entry) -> None:
        """Whether the image is of the kind that the store holds: nnU-Net and a network take one kind only.

        Raises:
            InputError: if not.
        """
        if (other.channels, other.dims) != (self.image.channels, self.image.spatial_dims):
            raise InputError(
                f"expected an image in {other.dims}D with {other.channels} channel(s) like the others of this store, "
                f"found one in {self.image.spatial_dims}D with {self.image.channels}; keep one store for each task"
            )

    def pack_image(self) -> None:
        """Pack the image, which takes longer than all the rest."""
        array, channels = self.image.array, self.image.channels
        planes = [array] if channels == 1 else [array[..., n] for n in range(channels)]
        self.image_blobs = {
            name: packed_nifti(plane, self.image.affine, has_spacing=self.image.has_spacing)
            for name, plane in zip(image_names(channels), planes, strict=True)
        }

    def write_image(self, folder: Path) -> dict[str, str]:
        """Write the image; it is not seen through to the disk yet.

        Returns:
            sha256 of each file.
        """
        if not self.image_blobs:
            self.pack_image()
        return {name: write_new(folder / name, blob) for name, blob in self.image_blobs.items()}

    def write(self, folder: Path, *, number: int, role: Role, group: str, image_files: Mapping[str, str]) -> None:
        """Write the revision's files into `folder`, the facts last; they are not seen through to the disk yet."""
        files = {name: write_new(folder / name, blob) for name, blob in self.blobs.items()}
        revision = Revision(
            folder=folder,
            case=self.case,
            number=number,
            role=role,
            group=group,
            image_sha256=self.image_sha256,
            shape=self.image.shape,
            channels=self.image.channels,
            affine=self.image.affine,
            has_spacing=self.image.has_spacing,
            modality=self.modality,
            classes=self.classes,
            model=self.model,
            voxels_checked=self.summary.voxels_checked,
            voxels_changed=self.summary.voxels_changed,
            dice=self.summary.dice,
            content=self.content,
            files=files,
            image_files=image_files,
            tool_version=_tool_version(),
        )
        write_new(folder / FACTS, as_json(to_facts(revision)))


def _tool_version() -> str:
    # Known only once the package is imported, of which this module is a part.
    from .. import __version__

    return __version__
