"""What the readers of one case agree on, and one set of labels from all of theirs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import combinations
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from ..corrections.files import file_hash
from ..errors import InputError, only_our_errors
from ..io import read_labels
from ..metrics import Agreement, compare
from ..volume import Segmentation
from .cases import CHECKED, ListedCase
from .worklist import Worklist

Labels = NDArray[np.uint16]

Method = Literal["majority", "staple"]


@dataclass(frozen=True)
class ReadersAgreement:
    """Two readers of one case.

    Attributes:
        case: its name.
        first: one reader.
        second: the other.
        classes: how well they agree on each class that either has used; `predicted` is the first one's volume, `reference` the second's.

    Example:
        >>> from ultralightunet.worklist import ReadersAgreement
        >>> ReadersAgreement("sub-01/T1", "Anna", "Ben", ()).first
        'Anna'
    """

    case: str
    first: str
    second: str
    classes: tuple[Agreement, ...]


def agreements(worklist: Worklist, name: str) -> list[ReadersAgreement]:
    """How well each two of those agree who have checked a case and kept labels.

    Raises:
        InputError: if there is no such case, or labels are gone or have changed.

    Example:
        >>> import numpy as np
        >>> from ultralightunet.io import read_labels
        >>> from ultralightunet.worklist import agreements, create_worklist
        >>> worklist, _ = create_worklist("tumours", "sample_data", match=["tumour_mri_1.nrrd"], readers=2)
        >>> truth = "sample_data/tumour_mri_1_tumour.nrrd"
        >>> smaller = read_labels(truth)
        >>> smaller.labels[:50] = 0
        >>> for reader, labels in (("Anna", truth), ("Ben", smaller.save("smaller.nrrd"))):
        ...     case = worklist.check("tumour_mri_1", reader, labels)
        >>> (found,) = agreements(worklist, "tumour_mri_1")
        >>> found.first, found.second, found.classes[0].dice < 1
        ('Anna', 'Ben', True)
    """
    kept = kept_labels(worklist, worklist.case(name))
    return [ReadersAgreement(name, first, second, tuple(compare(kept[first], kept[second]))) for first, second in combinations(kept, 2)]


def kept_labels(worklist: Worklist, case: ListedCase) -> dict[str, Segmentation]:
    """The labels that each reader has checked and kept.

    Raises:
        InputError: if a file is gone or has changed.
    """
    found = {}
    for reading in case.readings:
        if reading.state != CHECKED or not reading.labels:
            continue
        path = worklist.folder / reading.labels
        with only_our_errors(path, f"the labels of {case.name} by {reading.reader}"):
            if file_hash(path) != reading.labels_sha256:
                raise InputError(
                    f"expected the labels of {case.name} as {reading.reader} kept them, found others in {path}; "
                    "take the file from a copy, or have the case checked again"
                )
        found[reading.reader] = read_labels(path)
    return found


def consensus(readings: Sequence[Segmentation], method: Method = "majority") -> Segmentation:
    """One set of labels from several of the same image.

    Args:
        readings: two or more, on one grid.
        method: "majority" gives a voxel the label that more than half of the readers gave; "staple" weighs readers by how well they agree
            with what results (Warfield et al. 2004, doi 10.1109/TMI.2004.828354; for several labels at once Rohlfing et al. 2004,
            doi 10.1109/TMI.2004.830803). A voxel that stays undecided is background.

    Raises:
        InputError: if there are fewer than two, or their grids differ.

    Example:
        >>> import numpy as np
        >>> from ultralightunet import Segmentation
        >>> from ultralightunet.worklist import consensus
        >>> one, two, three = (Segmentation(np.array([[0, 1, 1, n]], np.uint8), np.eye(4)) for n in (0, 1, 2))
        >>> consensus([one, two, three]).labels.tolist()
        [[0, 1, 1, 0]]
    """
    if len(readings) < 2:
        raise InputError(f"expected the labels of two readers or more for a consensus, found {len(readings)}; have the case read again")
    if any(reading.labels.shape != readings[0].labels.shape for reading in readings):
        shapes = ", ".join(str(reading.labels.shape) for reading in readings)
        raise InputError(f"expected labels on one grid for a consensus, found shapes {shapes}; check which image they belong to")
    arrays = [reading.labels.astype(np.uint16) for reading in readings]
    found = _staple(arrays) if method == "staple" else _majority(arrays)
    return replace(readings[0], labels=found.astype(np.uint8 if found.max() <= 255 else np.uint16), model="", facts={})


def _majority(arrays: Sequence[Labels]) -> Labels:
    found = np.zeros_like(arrays[0])
    for label in np.unique(np.concatenate([np.unique(array) for array in arrays])):
        votes = np.sum([array == label for array in arrays], axis=0)
        found[2 * votes > len(arrays)] = label
    return found


def _staple(arrays: Sequence[Labels]) -> Labels:
    import SimpleITK as sitk

    staple = sitk.MultiLabelSTAPLEImageFilter()
    staple.SetLabelForUndecidedPixels(0)
    return np.asarray(sitk.GetArrayFromImage(staple.Execute([sitk.GetImageFromArray(array) for array in arrays])))
