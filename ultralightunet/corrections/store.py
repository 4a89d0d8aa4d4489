"""A store of corrections: cases are added whole or not at all, and are never changed."""

from __future__ import annotations

import json
import logging
import os
import secrets
import shutil
from collections.abc import Collection, Generator, Sequence
from contextlib import nullcontext
from dataclasses import replace
from functools import cached_property
from pathlib import Path
from typing import Any

from ..disk import replace_durably, sync_folder
from ..errors import InputError, OutputError
from ..events import Progress, finish
from ..io import check_values
from ..io.nifti_place import moved_onto
from ..models import LabelClass
from ..volume import Segmentation, Volume
from .checking import CASES, WRITING, Report, checking, latest_of, revision_folders
from .classes import check_classes, merged, merged_all
from .dataset import DATASET, derive
from .draft import Draft
from .files import as_json, said_clearly
from .ledger import LEDGER, append, read_ledger
from .locking import only_writer
from .masks import Checked, checked_mask
from .records import Revision, read_revision
from .roles import HOLDOUT_SHARE, Role, drawn_role, group_of
from .summary import check_grid, summarize
from .turned import turn_to_known

SCHEMA_VERSION = 1
"""Version of a store's files; one with a higher version is opened for reading only."""

STORE, LOCK = "store.json", ".lock"

_LOG = logging.getLogger(__name__)


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
        return merged_all(revision.classes for revision in self.revisions())

    def revisions(self) -> list[Revision]:
        """Every correction, those of a case together and the oldest first; damaged ones are left out, `check` tells of them."""
        found = []
        for folder in revision_folders(self.folder):
            try:
                found.append(read_revision(folder))
            except InputError as error:
                _LOG.warning("%s", error)
        return found

    def cases(self, role: Role | None = None) -> list[Revision]:
        """The latest correction of each case; with `role` only those that train, or are held out."""
        return [revision for revision in latest_of(self.revisions()) if role in (None, revision.role)]

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
        try:
            # Where one may not write there is nobody to wait for.
            writable = os.access(self.folder / LOCK, os.W_OK)
            with only_writer(self.folder / LOCK, wait=self.wait) if writable else nullcontext():
                return (yield from checking(self.folder))
        except OSError as error:
            raise InputError(
                f"expected to read the store {self.folder}, found an obstacle: {error.strerror}; check its permissions"
            ) from error

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
        table = tuple(classes) or labels.classes or (prediction.classes if prediction else ())
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
        turn = turn_to_known(image, self.cases())
        if turn is not None:
            image, labels = turn.image(image), turn.labels(labels)
            prediction = None if prediction is None else turn.labels(prediction)
            mask = None if mask is None else turn.apply(mask)
        draft = Draft.of(image, labels, prediction, mask, summary, table, modality)
        if not (self.folder / CASES / draft.case).exists():
            draft.pack_image()
        with said_clearly(self.folder, "the correction was not saved"):
            self._create()
            with only_writer(self.folder / LOCK, wait=self.wait):
                self._write_facts()
                if self.newer:
                    raise OutputError(self.newer)
                return self._save(draft, patient_key, frozenset(seen_in_training))

    def _save(self, draft: Draft, patient_key: str | None, seen_in_training: frozenset[str]) -> Revision:
        """With the lock held."""
        known = self.revisions()
        merged(merged_all(revision.classes for revision in known), draft.classes)
        draft.check_fits(known)
        earlier = [revision for revision in known if revision.case == draft.case]
        if earlier and earlier[-1].content == draft.content and earlier[-1].classes == draft.classes:
            self._settle(known)
            return earlier[-1]
        if earlier:
            draft = replace(draft, modality=draft.modality or earlier[-1].modality)
        group, role = self._role(draft, known, patient_key, seen_in_training)
        case = self.folder / CASES / draft.case
        if case.exists() and not earlier:
            raise InputError(f"expected whole corrections in {case}, found damaged ones only; take them from a copy of the store first")
        number = max((int(path.name) for path in case.glob("*") if path.name.isdecimal()), default=0) + 1
        beside = self.folder / f"{WRITING}{secrets.token_hex(6)}"
        try:
            # A new case appears with its image and first revision at once, a further revision alone: each by one renaming.
            folder = beside / f"{number:04d}"
            folder.mkdir(parents=True)
            image_files = earlier[0].image_files if earlier else draft.write_image(beside)
            draft.write(folder, number=number, role=role, group=group, image_files=image_files)
            case.parent.mkdir(exist_ok=True)
            source, target = (folder, case / folder.name) if case.exists() else (beside, case)
            os.replace(source, target)
            sync_folder(target.parent)
        finally:
            shutil.rmtree(beside, ignore_errors=True)
        saved = read_revision(case / f"{number:04d}")
        with said_clearly(self.folder, f"the correction {saved.name} is saved, only {LEDGER} and {DATASET} do not tell of it yet"):
            self._settle([*known, saved], saved=saved)
        return saved

    def _settle(self, revisions: list[Revision], *, saved: Revision | None = None) -> None:
        """Bring ledger and dataset up to the revisions, and so make up for whoever was killed before doing it."""
        listed = read_ledger(self.folder).names()
        for revision in revisions:
            if (revision.case, revision.number) not in listed:
                append(self.folder, revision, recovered=revision is not saved)
        revisions = sorted(revisions, key=lambda revision: (revision.case, revision.number))
        derive(self.folder, latest_of(revisions), merged_all(revision.classes for revision in revisions))

    def _role(self, draft: Draft, known: Sequence[Revision], patient_key: str | None, seen_in_training: frozenset[str]) -> tuple[str, Role]:
        """What was decided before counts; else what was decided for the patient; else the hash. The first case of a store trains."""
        salt = bytes.fromhex(self._facts["salt"])
        group = group_of(salt, patient_key=patient_key, image_sha256=draft.image_sha256)
        for revision in known:
            if revision.case == draft.case:
                return revision.group, revision.role
        ledger = read_ledger(self.folder).entries
        noted = next((entry for entry in ledger if entry["case"] == draft.case), None)
        if noted and noted.get("role") in ("train", "holdout"):
            # Its folder is damaged or gone.
            return group, noted["role"]
        if draft.image_sha256 in seen_in_training or not (known or ledger):
            # One correction is to be enough to learn from.
            return group, "train"
        for revision in known:
            if revision.group == group:
                return group, revision.role
        return group, drawn_role(salt, group, float(self._facts["holdout_share"]))

    @cached_property
    def _facts(self) -> dict[str, Any]:
        try:
            facts: dict[str, Any] = json.loads((self.folder / STORE).read_bytes())
            facts["schema_version"] = int(facts["schema_version"])
            if facts["schema_version"] <= SCHEMA_VERSION:
                bytes.fromhex(facts["salt"])
                facts["holdout_share"] = float(facts["holdout_share"])
            return facts
        except OSError as error:
            raise InputError(
                f"expected to read {self.folder / STORE}, found an obstacle: {error.strerror}; check its permissions"
            ) from error
        except (LookupError, TypeError, ValueError) as error:
            raise InputError(
                f"expected a store of corrections, found a damaged {self.folder / STORE} ({error}); take it from a copy"
            ) from error

    def _check_facts(self) -> None:
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
