"""A correction on its way into the store, while nobody else writes there."""

from __future__ import annotations

import logging
import os
import shutil
from dataclasses import dataclass, replace
from pathlib import Path

from ..disk import clear_unfinished, make_folder, sync_files, sync_folder, unfinished
from ..errors import InputError
from .checking import latest_of
from .classes import merged, merged_all
from .dataset import derive, derive_one
from .draft import Draft
from .files import said_clearly
from .index import Index, append_to_index, break_seal, current_index, write_index
from .layout import CASES, DATASET, DERIVED, LEDGER, own, revisions_in
from .ledger import append, noted_role, read_ledger
from .listing import listed
from .records import Revision, read_revision
from .roles import Role, drawn_role, group_of

_LOG = logging.getLogger(__name__)


@dataclass(frozen=True)
class Saving:
    """One save, with the store's lock held.

    Attributes:
        store: its folder.
        salt: of the pseudonyms.
        holdout_share: of the patients.
    """

    store: Path
    salt: bytes
    holdout_share: float

    def save(self, draft: Draft, known: Index | None, patient_key: str | None, seen_in_training: frozenset[str]) -> Revision:
        """Save a correction; the same one twice is saved once."""
        clear_unfinished(self.store)
        index = self._index(known)
        classes = merged(index.classes, draft.classes)
        if index.entries:
            draft.check_fits(index.entries[0])
        case = own(self.store, self.store / CASES / draft.case)
        earlier = revisions_of(self.store, draft.case)
        if any(other.image_sha256 != draft.image_sha256 for other in earlier):
            raise InputError(f"expected another image for {draft.case}, found two whose hashes begin alike; use another store for this one")
        if earlier and earlier[-1].content == draft.content and earlier[-1].classes == draft.classes:
            return earlier[-1]
        if earlier:
            draft = replace(draft, modality=draft.modality or earlier[-1].modality)
        if case.exists() and not earlier:
            raise InputError(f"expected whole corrections in {case}, found damaged ones only; take them from a copy of the store first")
        group, role = self._role(draft, index, earlier, patient_key, seen_in_training)
        saved = self._write(draft, case, earlier, group, role, index)
        with said_clearly(self.store, f"the correction {saved.name} is saved, only {LEDGER} and {DATASET} do not tell of it yet"):
            append(self.store, saved)
            if len(classes) == len(index.classes):
                left_out = derive_one(self.store, index.latest, classes, saved, left_out=index.left_out)
                append_to_index(self.store, index, saved, classes=classes, left_out=left_out)
            else:
                # A new class makes all others partial, and their derived labels other ones.
                self.settle()
        return saved

    def settle(self) -> Index:
        """Bring ledger, dataset and index up to the corrections, and so make up for whoever was killed before doing it."""
        revisions, unread = listed(self.store)
        there = read_ledger(self.store).names()
        for revision in revisions:
            if (revision.case, revision.number) not in there:
                append(self.store, revision, recovered=True)
        clear_unfinished(self.store / DERIVED)
        left_out = derive(self.store, latest_of(revisions), merged_all(revision.classes for revision in revisions))
        return write_index(self.store, revisions, unread=unread, left_out=left_out)

    def _index(self, known: Index | None) -> Index:
        """Of all that was saved, `known` if nothing was since that was read."""
        index = known if known is not None and known.is_current(self.store) else current_index(self.store)
        if index is not None:
            return index
        if not (self.store / CASES).exists():
            return Index()
        return self.settle()

    def _write(self, draft: Draft, case: Path, earlier: list[Revision], group: str, role: Role, index: Index) -> Revision:
        """A new case appears with its image and first revision at once, a further revision alone: each by one renaming."""
        numbers = [int(folder.name) for folder in revisions_in(case)] if case.exists() else []
        number = max(numbers, default=0) + 1
        beside = unfinished(self.store, "writing")
        try:
            folder = beside / f"{number:04d}"
            make_folder(folder, within=self.store)
            image_files = earlier[0].image_files if earlier else draft.write_image(beside)
            draft.write(folder, number=number, role=role, group=group, image_files=image_files)
            # All at once: after the first file the disk has little left to do.
            sync_files(beside)
            make_folder(case.parent, within=self.store)
            break_seal(self.store, index)
            source, target = (folder, case / folder.name) if case.exists() else (beside, case)
            os.replace(source, target)
            sync_folder(target.parent)
        finally:
            shutil.rmtree(beside, ignore_errors=True)
        return read_revision(case / f"{number:04d}")

    def _role(
        self, draft: Draft, index: Index, earlier: list[Revision], patient_key: str | None, seen_in_training: frozenset[str]
    ) -> tuple[str, Role]:
        """What was decided before counts; else what was decided for the patient; else the hash. The first case of a store trains."""
        group = group_of(self.salt, patient_key=patient_key, image_sha256=draft.image_sha256)
        if earlier:
            return earlier[0].group, earlier[0].role
        noted = noted_role(self.store, draft.case)
        if noted is not None:
            # Its folder is damaged or gone.
            return group, noted
        if draft.image_sha256 in seen_in_training or not (index.entries or (self.store / LEDGER).exists()):
            # One correction is to be enough to learn from.
            return group, "train"
        for entry in index.entries:
            if entry.group == group:
                return group, entry.role
        return group, drawn_role(self.salt, group, self.holdout_share)


def revisions_of(store: Path, case: str) -> list[Revision]:
    """The corrections of a case that can be read, the oldest first.

    Raises:
        OSError: if its folder cannot be listed.
    """
    folder = store / CASES / case
    found = []
    for place in revisions_in(folder) if folder.exists() else ():
        try:
            found.append(read_revision(place))
        except InputError as error:
            _LOG.warning("%s", error)
    return found
