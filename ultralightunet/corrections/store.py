"""A store of corrections: cases are added whole or not at all, and are never changed."""

from __future__ import annotations

import os
import secrets
from collections import Counter
from collections.abc import Collection, Generator, Iterator, Sequence
from contextlib import contextmanager, nullcontext
from functools import cached_property
from pathlib import Path
from typing import Any

from ..disk import clear_unfinished, read_json, replace_durably
from ..errors import InputError, OutputError, only_our_errors
from ..events import Progress, finish
from ..io import check_values
from ..io.nifti_place import moved_onto
from ..models import LabelClass
from ..models.values import table, whole
from ..volume import Segmentation, Volume
from .checking import Report, checking
from .classes import check_classes, merged_all
from .draft import Draft
from .files import as_json, said_clearly
from .index import Index, current_index
from .layout import CASES, DERIVED, LOCK, STORE, check_own
from .listing import listed
from .locking import only_writer
from .masks import Checked, checked_mask
from .records import Revision
from .roles import HOLDOUT_SHARE, Role
from .saving import Saving, revisions_of
from .summary import check_grid, summarize
from .turned import packed_grid, turn_to_known

SCHEMA_VERSION = 1
"""Version of a store's files; one with a higher version is opened for reading only."""


class Store:
    """The corrections of one task, in one folder; it is made when the first one is added.

    Several processes may read and write one store.

    Attributes:
        folder: where it lies.
        wait: seconds that a save waits for another one.

    Raises:
        InputError: if there is something at `folder` that is no store.

    Example:
        >>> import numpy as np
        >>> from ultralightunet import LabelClass, Segmentation, Volume
        >>> from ultralightunet.corrections import Store
        >>> scan = Volume(np.arange(24.0).reshape(2, 3, 4))
        >>> labels = Segmentation((scan.array > 20).astype(np.uint8), scan.affine, (LabelClass(0, "background"), LabelClass(1, "liver")))
        >>> store = Store("liver-corrections")
        >>> revision = store.add(scan, labels, None, patient_key="4711")
        >>> revision.number, revision.role, revision.labels().counts()
        (1, 'train', {1: 3})
        >>> store.cases("holdout"), store.check().whole
        ([], True)
    """

    def __init__(self, folder: str | Path, *, wait: float = 60.0) -> None:
        self.folder = Path(folder)
        self.wait = wait
        if self.exists:
            self._check_facts()
        elif self.folder.exists() and not self._may_become_a_store():
            raise InputError(f"expected a store of corrections or a new folder, found other things at {self.folder}; choose another folder")

    @property
    def exists(self) -> bool:
        """Whether anything was ever saved to it."""
        return (self.folder / STORE).is_file()

    @property
    def newer(self) -> str:
        """Why nothing can be added: a sentence if the store was written by a newer version, else ""."""
        if not self.exists or self._facts["schema_version"] <= SCHEMA_VERSION:
            return ""
        return (
            f"expected a store of version {SCHEMA_VERSION}, found version {self._facts['schema_version']} in {self.folder}, which a newer "
            "UltraLight wrote; it can be read only, update UltraLight here to add corrections"
        )

    @property
    def classes(self) -> tuple[LabelClass, ...]:
        """All classes of its corrections, background first; empty in a new store."""
        index = current_index(self.folder)
        if index is not None:
            return index.classes
        return merged_all(revision.classes for revision in self.revisions())

    def count(self) -> Counter[Role]:
        """How many cases train and how many are held out, sooner than `cases` tells."""
        index = current_index(self.folder)
        if index is not None:
            return Counter(entry.role for entry in index.latest.values())
        return Counter(revision.role for revision in self.cases())

    def names(self) -> list[str]:
        """`Revision.name` of the latest correction of each case, sooner than `cases` tells."""
        index = current_index(self.folder)
        if index is not None:
            return sorted(f"{entry.case}/{entry.number:04d}" for entry in index.latest.values())
        return [revision.name for revision in self.cases()]

    def revisions(self) -> list[Revision]:
        """Every correction, those of a case together and the oldest first; damaged ones are left out, `check` tells of them.

        Raises:
            InputError: if the folder cannot be read.
        """
        with self._readable():
            return listed(self.folder)[0]

    def cases(self, role: Role | None = None) -> list[Revision]:
        """The latest correction of each case; with `role` only those that train, or are held out.

        Raises:
            InputError: if the folder cannot be read.
        """
        with self._readable():
            return [revision for revision in listed(self.folder, only_latest=True)[0] if role in (None, revision.role)]

    def check(self) -> Report:
        """Whether everything that was ever saved is there, unchanged; nothing is changed or deleted.

        Raises:
            InputError: if there is no store, or its folder cannot be read.
        """
        return finish(self.checking())

    def checking(self) -> Generator[Progress, None, Report]:
        """As `check`, with an event after each correction."""
        if not self.exists:
            raise InputError(f"expected a store of corrections, found none at {self.folder}; check the name")
        # Where one may not write there is nobody to wait for.
        writable = os.access(self.folder / LOCK, os.W_OK)
        with self._readable(), only_writer(self.folder / LOCK, wait=self.wait) if writable else nullcontext():
            return (yield from checking(self.folder))

    def repair(self) -> list[Path]:
        """Remove what interrupted saves left, and bring ledger, dataset and index up to the corrections; no correction is changed.

        Returns:
            What was removed.

        Raises:
            InputError: if there is no store.
            OutputError: if it cannot be written.
        """
        if not self.exists:
            raise InputError(f"expected a store of corrections, found none at {self.folder}; check the name")
        with said_clearly(self.folder, "it was not repaired"), only_writer(self.folder / LOCK, wait=self.wait):
            self._check_writable()
            removed = [path for place in (self.folder, self.folder / DERIVED) for path in clear_unfinished(place, everything=True)]
            self._saving().settle()
        return removed

    def add(
        self,
        image: Volume,
        labels: Segmentation,
        prediction: Segmentation | None,
        *,
        checked: Checked = None,
        patient_key: str | None = None,
        classes: Sequence[LabelClass] = (),
        modality: str = "",
        confirmed: bool = False,
        seen_in_training: Collection[str] = (),
    ) -> Revision:
        """Save a correction; the same one twice is saved once.

        Args:
            image: what was segmented, with finite values.
            labels: the correction, on the image's grid.
            prediction: what it started from, on the same grid, or None for labels made by hand.
            checked: which voxels a person looked at; the others never count as truth. See `Checked`.
            patient_key: the same for all images of one patient, so that they have one role; only a salted hash of it is stored.
            classes: what the labels mean; by default those of `labels`, else of `prediction`.
            modality: as `Model.modality`.
            confirmed: a person says that a correction that changes nothing, or has no labels, is right as it is.
            seen_in_training: `Revision.image_sha256` of the images that a model of this task was trained on; they are never held out.

        Returns:
            The correction as it was saved.

        Raises:
            InputError: if image, labels and classes do not fit each other or the store, or nothing was corrected.
            OutputError: if it cannot be written; the store is then as before.
        """
        with said_clearly(self.folder, "the correction was not saved"):
            known = current_index(self.folder)
            draft = self._draft(known, image, labels, prediction, checked, tuple(classes), modality, confirmed)
            self._create()
            with only_writer(self.folder / LOCK, wait=self.wait):
                self._write_facts()
                self._check_writable()
                return self._saving().save(draft, known, patient_key, frozenset(seen_in_training))

    def _draft(
        self,
        known: Index | None,
        image: Volume,
        labels: Segmentation,
        prediction: Segmentation | None,
        checked: Checked,
        classes: tuple[LabelClass, ...],
        modality: str,
        confirmed: bool,
    ) -> Draft:
        """All that takes time, before anybody has to wait."""
        table = classes or labels.classes or (prediction.classes if prediction else ())
        check_classes(table)
        image = check_values(image)
        labels = moved_onto(labels, image)
        prediction = None if prediction is None else moved_onto(prediction, image)
        check_grid(labels, image.shape, image.affine, names=("correction", "image"))
        summary = summarize(labels, prediction, classes=table, checked=checked)
        if not confirmed:
            if prediction is not None and not summary.voxels_changed:
                raise InputError(
                    "expected a correction, found labels equal to the prediction wherever they were checked; "
                    "change what is wrong, or confirm (--confirm) that all of it is right"
                )
            if not any(change.voxels_after for change in summary.classes):
                raise InputError(
                    "expected a correction, found no labels at all; draw some, or confirm (--confirm) that there is nothing to label"
                )
        mask = checked_mask(checked, image.shape)
        turn = turn_to_known(image, self._grids(known), self._holds)
        if turn is not None:
            image, labels = turn.image(image), turn.labels(labels)
            prediction = None if prediction is None else turn.labels(prediction)
            mask = None if mask is None else turn.apply(mask)
        draft = Draft.of(image, labels, prediction, mask, summary, table, modality)
        if not (self.folder / CASES / draft.case).exists():
            draft.pack_image()
        return draft

    def _grids(self, known: Index | None) -> Collection[str]:
        """Every grid of an image, once; see `packed_grid`."""
        if known is not None:
            return {entry.grid for entry in known.entries}
        return {packed_grid(revision.shape, revision.channels, revision.affine) for revision in self.cases()}

    def _holds(self, image_sha256: str) -> bool:
        return any(revision.image_sha256 == image_sha256 for revision in revisions_of(self.folder, image_sha256[:16]))

    def _saving(self) -> Saving:
        return Saving(self.folder, bytes.fromhex(self._facts["salt"]), self._facts["holdout_share"])

    def _check_writable(self) -> None:
        if self.newer:
            raise OutputError(self.newer)

    @contextmanager
    def _readable(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            raise InputError(
                f"expected to read the store {self.folder}, found an obstacle: {error.strerror}; check its permissions"
            ) from error

    @cached_property
    def _facts(self) -> dict[str, Any]:
        path = self.folder / STORE
        with only_our_errors(path, "a store of corrections"):
            try:
                facts = table(read_json(path))
                facts["schema_version"] = whole(facts["schema_version"])
                if facts["schema_version"] <= SCHEMA_VERSION:
                    if len(bytes.fromhex(facts["salt"])) < 16:
                        raise ValueError("its salt is too short to hide who a patient is")
                    facts["holdout_share"] = float(facts["holdout_share"])
                    if not 0 <= facts["holdout_share"] <= 1:
                        raise ValueError(f"no share of the cases is {facts['holdout_share']}")
                return facts
            except OSError as error:
                raise InputError(f"expected to read {path}, found an obstacle: {error.strerror}; check its permissions") from error
            except (LookupError, TypeError, ValueError, OverflowError, RecursionError) as error:
                raise InputError(f"expected a store of corrections, found a damaged {path} ({error}); take it from a copy") from error

    def _check_facts(self) -> None:
        check_own(self.folder)
        self._facts  # noqa: B018 - reading it is the check

    def _may_become_a_store(self) -> bool:
        # A name with a dot is the lock, or what is left of a first save that was killed.
        try:
            return self.folder.is_dir() and all(path.name.startswith(".") for path in self.folder.iterdir())
        except OSError as error:
            raise InputError(f"expected a folder that can be read, found {self.folder}: {error.strerror}; check its permissions") from error

    def _create(self) -> None:
        self.folder.mkdir(parents=True, exist_ok=True)

    def _write_facts(self) -> None:
        """With the lock held, so that two processes agree on one salt."""
        if self.exists:
            return
        facts = {"schema_version": SCHEMA_VERSION, "salt": secrets.token_hex(32), "holdout_share": HOLDOUT_SHARE}
        replace_durably(self.folder / STORE, as_json(facts))
