"""One revision of a case: what its folder holds and what is known of it.

cases/<case>/image.nii.gz             once per case; a colour image is one file for each channel, image_0000.nii.gz and so on
cases/<case>/<revision>/labels.nii.gz
cases/<case>/<revision>/prediction.nii.gz    where there was one
cases/<case>/<revision>/checked.nii.gz       where not everything was checked
cases/<case>/<revision>/facts.json
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..errors import InputError
from ..io import read_image
from ..models import LabelClass
from ..volume import Segmentation, Source, Volume
from .classes import check_classes, classes_from_json
from .roles import Role

FACTS = "facts.json"
LABELS, PREDICTION, CHECKED = "labels.nii.gz", "prediction.nii.gz", "checked.nii.gz"


@dataclass(frozen=True, eq=False)
class Revision:
    """A correction as it was saved; two are equal if they are the same one.

    Attributes:
        folder: where it lies.
        case: of its image; the same image always has the same case.
        number: 1 for the first correction of the case.
        role: of the case, decided when it was first saved.
        group: a pseudonym that all cases of one patient share, where the patient was told.
        image_sha256: of the image's content, see `image_hash`.
        shape: of the image, without channels.
        channels: of the image.
        affine: as `Volume.affine`.
        has_spacing: as `Volume.has_spacing`.
        modality: as `Model.modality`, or "".
        classes: that were known when it was saved; voxels of a class that came later are background here.
        model: NAME@VERSION that made the prediction, or "".
        voxels_checked: how many voxels a person has checked.
        voxels_changed: see `Summary`.
        dice: see `Summary`.
        content: sha256 of the content of "labels", and of "prediction" and "checked" where there are any.
        files: sha256 of each file of the folder.
        image_files: sha256 of each file of the image.
        tool_version: of UltraLight.

    Example:
        >>> import numpy as np
        >>> from ultralightunet import LabelClass, Segmentation, Volume
        >>> from ultralightunet.corrections import Store
        >>> scan = Volume(np.arange(24.0).reshape(2, 3, 4))
        >>> labels = Segmentation((scan.array > 20).astype(np.uint8), scan.affine, (LabelClass(0, "background"), LabelClass(1, "liver")))
        >>> revision = Store("liver-corrections").add(scan, labels, None, checked={0: [1]})
        >>> revision.voxels_checked, revision.checked().sum((1, 2)).tolist(), revision.prediction()
        (12, [0, 12], None)
    """

    folder: Path
    case: str
    number: int
    role: Role
    group: str
    image_sha256: str
    shape: tuple[int, ...]
    channels: int
    affine: NDArray[np.float64]
    has_spacing: bool
    modality: str
    classes: tuple[LabelClass, ...]
    model: str
    voxels_checked: int
    voxels_changed: int
    dice: float | None
    content: Mapping[str, str]
    files: Mapping[str, str]
    image_files: Mapping[str, str]
    tool_version: str

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Revision) and self.folder == other.folder

    def __hash__(self) -> int:
        return hash(self.folder)

    @property
    def name(self) -> str:
        """CASE/REVISION, for a person."""
        return f"{self.case}/{self.folder.name}"

    @property
    def image_paths(self) -> tuple[Path, ...]:
        """The image's files, one for each channel."""
        return tuple(self.folder.parent / name for name in sorted(self.image_files))

    def image(self) -> Volume:
        """The image.

        Raises:
            InputError: if it is damaged or missing.
        """
        channels = [self._array(path) for path in self.image_paths]
        array = channels[0] if self.channels == 1 else np.stack(channels, axis=-1)
        return Volume(array, self.affine, self.channels, self.has_spacing)

    def labels(self) -> Segmentation:
        """The correction; where nobody checked (`checked`) it says nothing.

        Raises:
            InputError: if it is damaged or missing.
        """
        return self._segmentation(LABELS, "")

    def prediction(self) -> Segmentation | None:
        """What the correction started from, or None.

        Raises:
            InputError: if it is damaged or missing.
        """
        return self._segmentation(PREDICTION, self.model) if PREDICTION in self.files else None

    def checked(self) -> NDArray[np.bool_] | None:
        """Mask of the voxels that a person has checked, None for all.

        Raises:
            InputError: if it is damaged or missing.
        """
        return self._array(self.folder / CHECKED) != 0 if CHECKED in self.files else None

    def _segmentation(self, name: str, model: str) -> Segmentation:
        return Segmentation(self._array(self.folder / name), self.affine, self.classes, self.has_spacing, Source(), model)

    def _array(self, path: Path) -> NDArray[Any]:
        found = read_image(path).array
        if found.size != np.prod(self.shape):
            raise InputError(
                f"expected an image of shape {self.shape}, found {found.shape} in {path}; `ultralight corrections check` says more"
            )
        # An oblique 2D image is stored as a volume of one slice.
        return found.reshape(self.shape)


def read_revision(folder: Path) -> Revision:
    """The revision in a folder.

    Raises:
        InputError: if its facts are missing or damaged.
    """
    path = folder / FACTS
    try:
        return _parsed(folder, json.loads(path.read_bytes()))
    except OSError as error:
        raise InputError(f"expected the facts of a correction at {path}, found none that can be read: {error.strerror}") from error
    except (LookupError, TypeError, ValueError, RecursionError) as error:
        raise InputError(f"expected the facts of a correction in {path}, found a damaged file ({error})") from error


def _parsed(folder: Path, facts: Mapping[str, Any]) -> Revision:
    image = facts["image"]
    if facts["role"] not in ("train", "holdout"):
        raise ValueError(f"no such role: {facts['role']!r}")
    classes = classes_from_json(facts["classes"])
    check_classes(classes)
    return Revision(
        folder=folder,
        case=str(facts["case"]),
        number=int(facts["revision"]),
        role=facts["role"],
        group=str(facts["group"]),
        image_sha256=str(image["sha256"]),
        shape=tuple(int(n) for n in image["shape"]),
        channels=int(image["channels"]),
        affine=np.array(image["affine"], dtype=np.float64),
        has_spacing=bool(image["has_spacing"]),
        modality=str(image["modality"]),
        classes=classes,
        model=str(facts["model"]),
        voxels_checked=int(facts["voxels_checked"]),
        voxels_changed=int(facts["voxels_changed"]),
        dice=None if facts["dice"] is None else float(facts["dice"]),
        content=dict(facts["content"]),
        files=dict(facts["files"]),
        image_files=dict(image["files"]),
        tool_version=str(facts["tool_version"]),
    )
