"""Labelled images as others keep them: nnU-Net's raw folders (a store of corrections is one), and images/ beside masks/."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path, PurePath
from typing import Any

import numpy as np

from ..corrections.classes import named_classes
from ..disk import read_json
from ..errors import InputError, only_our_errors
from ..io import read_image, read_labels
from ..models import LabelClass
from ..models.values import line, table, whole
from ..retraining.prepared import UNKNOWN, Array
from ..volume import Volume

_WIDEST_GAP = 4
"""Numbers of classes for each value that occurs: with more, masks were written in two ways, or blurred."""

_IMAGES, _MASKS = ("images", "imagesTr"), ("masks", "labels", "labelsTr")


@dataclass(frozen=True)
class LabelledImage:
    """One case.

    Attributes:
        name: of the case.
        images: a file, or one for each channel.
        labels: file of the labels, on the same grid.

    Example:
        >>> from pathlib import Path
        >>> from ultralightunet.new_task import LabelledImage
        >>> case = LabelledImage("1", (Path("sample_data/tumour_mri_1.nrrd"),), Path("sample_data/tumour_mri_1_tumour.nrrd"))
        >>> case.image().shape
        (25, 256, 256)
    """

    name: str
    images: tuple[Path, ...]
    labels: Path

    def image(self) -> Volume:
        """The image, its channels last.

        Raises:
            InputError: if it cannot be read, or its channels do not fit each other.
        """
        found = [read_image(path) for path in self.images]
        if len(found) == 1:
            return found[0]
        if any(other.array.shape != found[0].array.shape or other.channels > 1 for other in found):
            raise InputError(f"expected the channels of {self.name} on one grid, found several; resample them onto the first")
        return replace(found[0], array=np.stack([volume.array for volume in found], axis=-1), channels=len(found))


@dataclass(frozen=True)
class Dataset:
    """What a folder holds.

    Attributes:
        cases: by name.
        classes: what the labels mean, background first.
        channels: names of the images' channels.
        ignore: label of voxels that do not count, or None.
        is_mask: whether any value but 0 means the one class there is, as 255 does in pictures.

    Example:
        >>> from pathlib import Path
        >>> from ultralightunet import LabelClass
        >>> from ultralightunet.new_task import Dataset, LabelledImage
        >>> case = LabelledImage("1", (Path("sample_data/tumour_mri_1.nrrd"),), Path("sample_data/tumour_mri_1_tumour.nrrd"))
        >>> dataset = Dataset((case,), (LabelClass(0, "background"), LabelClass(1, "tumour")), channels=("MR",))
        >>> int(dataset.target(case, case.image()).sum())
        4137
    """

    cases: tuple[LabelledImage, ...]
    classes: tuple[LabelClass, ...]
    channels: tuple[str, ...]
    ignore: int | None = None
    is_mask: bool = False

    def target(self, case: LabelledImage, image: Volume) -> Array:
        """The labels of a case, as `retraining.prepared.Prepared.target`.

        Raises:
            InputError: if they do not fit the image, or hold an unknown class.
        """
        labels = read_labels(case.labels).labels
        if labels.shape != image.shape:
            raise InputError(
                f"expected labels on the grid of the image of {case.name}, {image.shape}, found shape {labels.shape}; "
                "give those that belong to it"
            )
        target = (labels > 0 if self.is_mask else labels).astype(np.int64)
        known = [entry.index for entry in self.classes] + ([] if self.ignore is None else [self.ignore])
        unknown = np.setdiff1d(np.unique(target), known)
        if len(unknown):
            listed = ", ".join(f"{entry.index} {entry.name}" for entry in self.classes)
            raise InputError(f"expected labels of the known classes ({listed}) in {case.labels}, found {unknown[0]}; correct the labels")
        if self.ignore is not None:
            target[target == self.ignore] = UNKNOWN
        return target.astype(np.int16)

    @property
    def sha256(self) -> str:
        """Of the cases' names and files' sizes: tells whether a training that is to go on would see the same."""
        said = [(case.name, [path.stat().st_size for path in (*case.images, case.labels)]) for case in self.cases]
        return hashlib.sha256(json.dumps([said, [entry.name for entry in self.classes]]).encode()).hexdigest()


def read_dataset(folder: str | Path, *, classes: Sequence[str] = ()) -> Dataset:
    """Find the cases of a folder.

    Args:
        folder: with nnU-Net's `dataset.json`, or with images/ and masks/ whose files have the same base names.
        classes: names of classes 1, 2, ... for a folder without `dataset.json`.

    Raises:
        InputError: if there are no pairs, or they do not fit each other.

    Example:
        >>> from pathlib import Path
        >>> from shutil import copy
        >>> from ultralightunet.new_task import read_dataset
        >>> for folder, name in (("images", "tumour_mri_1"), ("masks", "tumour_mri_1_tumour")):
        ...     Path("heads", folder).mkdir(parents=True)
        ...     target = copy(f"sample_data/{name}.nrrd", f"heads/{folder}/1.nrrd")
        >>> dataset = read_dataset("heads", classes=("tumour",))
        >>> [case.name for case in dataset.cases], [entry.name for entry in dataset.classes]
        (['1'], ['background', 'tumour'])
    """
    folder = Path(folder)
    if not folder.is_dir():
        raise InputError(f"expected a folder with labelled images, found none at {folder}; check the name")
    with only_our_errors(folder, "labelled images"):
        if (folder / "dataset.json").is_file():
            return _nnunet(folder)
        return _folders(folder, classes)


def _nnunet(folder: Path) -> Dataset:
    path = folder / "dataset.json"
    try:
        facts = table(read_json(path, most=2**28))
        ending = line(facts.get("file_ending", ".nii.gz"))
        labels = {line(name): value for name, value in table(facts["labels"]).items()}
        channels = table(facts.get("channel_names", facts.get("modality", {"0": "image"})))
        names = tuple(line(channels[key]) for key in sorted(channels, key=int))
        if not re.fullmatch(r"(\.\w+)+", ending) or not names:
            raise ValueError("no file ends so" if names else "there are no channels")
    except (OSError, LookupError, TypeError, ValueError, AttributeError, OverflowError, RecursionError) as error:
        raise InputError(f"expected nnU-Net's facts in {path}, found a damaged file ({error}); write it again") from error
    if all(name.isdecimal() for name in labels):
        # nnU-Net v1 and the Decathlon: number -> name.
        labels = {str(name): number for number, name in labels.items()}
    try:
        numbers = {name: whole(int(number) if isinstance(number, str) else number) for name, number in labels.items()}
    except (TypeError, ValueError, OverflowError) as error:
        raise InputError(
            f"expected one number for each label in {path}, found regions of several; give each class its own number"
        ) from error
    ignore = numbers.pop("ignore", None)
    ordered = sorted(numbers, key=lambda name: numbers[name])
    if [numbers[name] for name in ordered] != list(range(len(ordered))) or len(ordered) < 2:
        raise InputError(f"expected labels 0 (background), 1, 2, ... in {path}, found {sorted(numbers.values())}; number them without gaps")
    if ignore is not None and not len(ordered) <= ignore <= 65535:
        raise InputError(
            f"expected a label above {len(ordered) - 1} for what does not count in {path}, found {ignore}; give it one of its own"
        )
    cases = _listed(folder, facts["dataset"], len(names)) if "dataset" in facts else _in_folders(folder, ending, len(names))
    return Dataset(_some(cases, folder), named_classes(ordered[1:]), names, ignore)


def _listed(folder: Path, listed: Any, channels: int) -> list[LabelledImage]:
    """The cases that `dataset.json` names with their files, each of which has to lie in the folder."""
    try:
        found = [
            LabelledImage(line(name), tuple(_inside(folder, image) for image in case["images"]), _inside(folder, case["label"]))
            for name, case in sorted(table(listed).items())
        ]
        few = next((case for case in found if len(case.images) != channels), None)
        if few:
            raise ValueError(f"{few.name} has {len(few.images)} images for {channels} channels")
        return found
    except (LookupError, TypeError, ValueError, AttributeError) as error:
        raise InputError(
            f"expected images and labels of each case in {folder / 'dataset.json'}, found a damaged list ({error}); write it again"
        ) from error


def _inside(folder: Path, name: Any) -> Path:
    parts = PurePath(line(name)).parts
    if not parts or PurePath(name).is_absolute() or ".." in parts:
        raise InputError(f"expected files inside {folder}, found {name!r} in its dataset.json; put the images into the folder")
    return folder.joinpath(*parts)


def _in_folders(folder: Path, ending: str, channels: int) -> list[LabelledImage]:
    found = []
    for labels in sorted((folder / "labelsTr").glob(f"*{ending}")):
        name = labels.name.removesuffix(ending)
        images = tuple(folder / "imagesTr" / f"{name}_{n:04d}{ending}" for n in range(channels))
        if channels == 1 and not images[0].exists():
            # The Decathlon's own layout.
            images = (folder / "imagesTr" / labels.name,)
        missing = next((image for image in images if not image.exists()), None)
        if missing:
            raise InputError(f"expected the image {missing.name} beside the labels {labels.name} in {folder}, found none; add it")
        found.append(LabelledImage(name, images, labels))
    return found


def _folders(folder: Path, names: Sequence[str]) -> Dataset:
    images, masks = (next((folder / name for name in several if (folder / name).is_dir()), None) for several in (_IMAGES, _MASKS))
    if images is None or masks is None:
        raise InputError(
            f"expected {folder} to hold a dataset.json of nnU-Net, or the folders images and masks, found neither; see the help"
        )
    by_name = {_base(path): path for path in sorted(masks.iterdir()) if path.is_file() and not path.name.startswith(".")}
    cases = []
    for image in sorted(path for path in images.iterdir() if path.is_file() and not path.name.startswith(".")):
        labels = by_name.get(_base(image)) or by_name.get(f"{_base(image)}_mask")
        if labels is None:
            raise InputError(f"expected a mask called {_base(image)} in {masks}, found none; add it or take the image away")
        cases.append(LabelledImage(_base(image), (image,), labels))
    found = _some(cases, folder)
    values = np.unique(np.concatenate([np.unique(read_labels(case.labels).labels) for case in found[:50]]))
    is_mask = len(values) == 2 and values[0] == 0 and not (len(names) > 1)
    count = 1 if is_mask else int(values.max(initial=1))
    if count > _WIDEST_GAP * len(values) and not names:
        listed = ", ".join(map(str, values[:4]))
        raise InputError(
            f"expected masks in {masks} with one value beside 0, or with 1, 2, ... for the classes, found {listed} ... {count}; "
            "write all of them alike, and without lossy compression"
        )
    if count > 255 or (names and len(names) != count):
        raise InputError(f"expected {len(names) or 'few'} classes in {masks}, found labels up to {values.max(initial=0)}; name each class")
    classes = named_classes(list(names) or [f"class {n}" if count > 1 else "object" for n in range(1, count + 1)])
    return Dataset(found, classes, ("image",), None, is_mask)


def _some(cases: list[LabelledImage], folder: Path) -> tuple[LabelledImage, ...]:
    if not cases:
        raise InputError(f"expected labelled images in {folder}, found none; put images and labels of the same names into it")
    return tuple(cases)


def _base(path: Path) -> str:
    name = path.name
    for ending in (".nii.gz", *path.suffixes[-1:]):
        if name.lower().endswith(ending.lower()):
            return name[: -len(ending)]
    return name
