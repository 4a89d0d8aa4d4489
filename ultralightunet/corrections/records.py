"""One revision of a case: what its folder holds and what is known of it.

cases/<case>/image.nii.gz             once per case; a colour image is one file for each channel, image_0000.nii.gz and so on
cases/<case>/<revision>/labels.nii.gz
cases/<case>/<revision>/prediction.nii.gz    where there was one
cases/<case>/<revision>/checked.nii.gz       where not everything was checked
cases/<case>/<revision>/facts.json
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..disk import read_json
from ..errors import InputError, only_our_errors
from ..io import read_image
from ..models import LabelClass
from ..models.values import lines, table, whole, wholes
from ..volume import Segmentation, Source, Volume
from .classes import check_classes, classes_from_json, classes_to_json
from .layout import CHECKED, FACTS, LABELS, PREDICTION, are_hashes, image_names, is_case, is_group, own
from .roles import Role

_MOST_VOXELS = 2**40
"""Of an image: a terabyte of labels."""


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
    def store(self) -> Path:
        """Folder of the store."""
        return self.folder.parents[2]

    @property
    def is_partly_checked(self) -> bool:
        """Whether a person has checked some of its voxels only."""
        return "checked" in self.content

    @property
    def class_count(self) -> int:
        """How many classes were known when it was saved, with the background."""
        return len(self.classes)

    @property
    def image_paths(self) -> tuple[Path, ...]:
        """The image's files, one for each channel."""
        return tuple(self.folder.parent / name for name in image_names(self.channels))

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
        found = read_image(own(self.store, path)).array
        if found.size != math.prod(self.shape):
            raise InputError(
                f"expected an image of shape {self.shape}, found {found.shape} in {path}; `ultralight corrections check` says more"
            )
        # An oblique 2D image is stored as a volume of one slice.
        return found.reshape(self.shape)


def read_revision(folder: Path) -> Revision:
    """The revision in a folder.

    Raises:
        InputError: if its facts are missing or damaged, those of another folder, or not in the store.
    """
    path = folder / FACTS
    with only_our_errors(path, "the facts of a correction"):
        own(folder.parents[2], path)
        try:
            return parsed(folder, read_json(path))
        except OSError as error:
            raise InputError(f"expected the facts of a correction at {path}, found none that can be read: {error.strerror}") from error
        except (LookupError, TypeError, ValueError, AttributeError, OverflowError, RecursionError) as error:
            raise InputError(f"expected the facts of a correction in {path}, found a damaged file ({error})") from error


def parsed(folder: Path, facts: Mapping[str, Any], classes: tuple[LabelClass, ...] = ()) -> Revision:
    """The revision that facts tell of, nothing of which becomes a path or a number without a look at it.

    Args:
        folder: where it lies.
        facts: of it.
        classes: of it where they are known already; by default those of `facts`.

    Raises:
        LookupError, TypeError, ValueError, AttributeError, OverflowError: if they are damaged, or those of another folder.
        InputError: if the classes make no sense.
    """
    image = facts["image"]
    if facts["role"] not in ("train", "holdout"):
        raise ValueError(f"no such role: {facts['role']!r}")
    classes = classes or parsed_classes(facts["classes"])
    case, group, modality = lines(facts["case"], facts["group"], image["modality"])
    sha256, model, tool_version = lines(image["sha256"], facts["model"], facts["tool_version"])
    content, files, image_files = table(facts["content"]), table(facts["files"]), table(image["files"])
    revision = Revision(
        folder=folder,
        case=case,
        number=whole(facts["revision"]),
        role=facts["role"],
        group=group,
        image_sha256=sha256,
        shape=wholes(image["shape"]),
        channels=whole(image["channels"]),
        affine=np.array(image["affine"], dtype=np.float64),
        has_spacing=bool(image["has_spacing"]),
        modality=modality,
        classes=classes,
        model=model,
        voxels_checked=whole(facts["voxels_checked"]),
        voxels_changed=whole(facts["voxels_changed"]),
        dice=None if facts["dice"] is None else float(facts["dice"]),
        content=content,
        files=files,
        image_files=image_files,
        tool_version=tool_version,
    )
    # First the numbers: by one of them names are made.
    _check_numbers(revision)
    _check_names(revision)
    return revision


def parsed_classes(entries: Any) -> tuple[LabelClass, ...]:
    """Classes as facts tell of them.

    Raises:
        LookupError, TypeError, ValueError, AttributeError, OverflowError, InputError: if they make no sense.
    """
    classes = classes_from_json(entries)
    check_classes(classes)
    return classes


def to_facts(revision: Revision) -> dict[str, Any]:
    """The reverse of `parsed`."""
    return {
        "schema_version": 1,
        "case": revision.case,
        "revision": revision.number,
        "role": revision.role,
        "group": revision.group,
        "image": {
            "sha256": revision.image_sha256,
            "shape": list(revision.shape),
            "channels": revision.channels,
            "affine": revision.affine.tolist(),
            "has_spacing": revision.has_spacing,
            "modality": revision.modality,
            "files": dict(revision.image_files),
        },
        "classes": classes_to_json(revision.classes),
        "model": revision.model,
        "voxels_checked": revision.voxels_checked,
        "voxels_changed": revision.voxels_changed,
        "dice": revision.dice,
        "content": dict(revision.content),
        "files": dict(revision.files),
        "tool_version": revision.tool_version,
    }


def _check_names(revision: Revision) -> None:
    """Names become paths in the store and in exports."""
    if (revision.case, f"{revision.number:04d}") != revision.folder.parts[-2:]:
        raise ValueError(f"they are those of {revision.case}/{revision.number:04d}; it was moved")
    if not is_case(revision.case) or not is_group(revision.group):
        raise ValueError("case or group have names that no store gives")
    if not are_hashes((revision.image_sha256, *revision.content.values(), *revision.files.values(), *revision.image_files.values())):
        raise ValueError("not every hash is a sha256")
    if not {LABELS} <= set(revision.files) <= {LABELS, PREDICTION, CHECKED}:
        raise ValueError(f"files {sorted(revision.files)} are not those of a correction")
    if {name.removesuffix(".nii.gz") for name in revision.files} != set(revision.content):
        raise ValueError(f"there are hashes of {sorted(revision.content)} for the files {sorted(revision.files)}")
    if set(revision.image_files) != set(image_names(revision.channels)):
        raise ValueError(f"image files {sorted(revision.image_files)} are not those of {revision.channels} channel(s)")


def _check_numbers(revision: Revision) -> None:
    if len(revision.shape) not in (2, 3) or min(revision.shape) < 1 or not 1 <= revision.channels <= 65535:
        raise ValueError(f"no image has the shape {revision.shape} and {revision.channels} channels")
    if math.prod(revision.shape) > _MOST_VOXELS:
        raise ValueError(f"no image has the shape {revision.shape} and {revision.channels} channels")
    if revision.affine.shape != (4, 4) or not _places(revision.affine.tolist()):
        raise ValueError("the affine places no image")
    if not 0 <= revision.voxels_changed <= revision.voxels_checked <= math.prod(revision.shape):
        raise ValueError(f"{revision.voxels_changed} of {revision.voxels_checked} voxels cannot have changed")
    if revision.dice is not None and not 0 <= revision.dice <= 1:
        raise ValueError(f"{revision.dice} is no Dice coefficient")


def _places(affine: list[list[float]]) -> bool:
    """Whether no direction is lost; numpy takes ten times as long for so few numbers."""
    (a, b, c, _), (d, e, f, _), (g, h, i, _), last = affine
    size = a * (e * i - f * h) - b * (d * i - f * g) + c * (d * h - e * g)
    return last == [0, 0, 0, 1] and size != 0 and math.isfinite(sum(map(sum, affine)))
