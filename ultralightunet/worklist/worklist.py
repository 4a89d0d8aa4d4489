"""A worklist on the disk: what was listed is never rewritten, and what happens is appended, so that nothing once said is lost.

`worklist.json` holds the cases as they were listed, `ledger.jsonl` a line for each thing that happened since, `readings/` the labels that
readers kept. Whoever hands out or notes something holds the lock `.lock` meanwhile; several programs may do so at once.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ..corrections.files import content_hash, file_hash
from ..corrections.locking import only_writer
from ..disk import make_folder, share, sync_folder
from ..errors import InputError, OutputError
from ..io import output_suffix, write_labels
from .cases import CHECKED, REJECTED, ListedCase, after, at
from .facts import LOCK, ListFacts, read_facts
from .images import as_seen_from, from_there, labels_on, open_image
from .ledger import append, read_ledger
from .order import by_gain
from .readers import one_line, reader_key


@dataclass(frozen=True)
class Handed:
    """What a reader is handed.

    Attributes:
        case: None if nothing is left for them.
        image: its file or folder.
        labels: the file of a model's labels to start from, None where there is none.
        told: why other cases, or the labels, could not be handed over, one sentence each.

    Example:
        >>> from ultralightunet.worklist import Handed
        >>> Handed(None).told
        ()
    """

    case: ListedCase | None
    image: Path | None = None
    labels: Path | None = None
    told: tuple[str, ...] = field(default_factory=tuple)


class Worklist:
    """The cases of a list and who does what with them; `create_worklist` makes one.

    Args:
        folder: of the list.
        images: the folder in which the images are now, if they have moved or have another path on this machine.
        clock: tells the time in seconds since 1970.
        wait: seconds to wait for another program that writes to the list.

    Raises:
        InputError: if there is no list, it is damaged, or a newer version wrote it.

    Example:
        >>> from ultralightunet.worklist import Worklist, create_worklist
        >>> _ = create_worklist("heads", "sample_data", match=["*hippocampus*"])
        >>> worklist = Worklist("heads")
        >>> worklist.reject("colin27_hippocampus_right", "Anna", "it moved").reason
        'it moved'
        >>> [case.state for case in worklist.cases()]
        ['to do', 'rejected']
    """

    def __init__(
        self, folder: str | Path, *, images: str | Path | None = None, clock: Callable[[], float] = time.time, wait: float = 60.0
    ) -> None:
        self.folder = Path(folder)
        self._images = None if images is None else Path(images)
        self._clock = clock
        self._wait = wait
        self._facts: ListFacts = read_facts(self.folder)

    @property
    def readers_wanted(self) -> int:
        """How many readers are to check each case."""
        return self._facts.readers

    @property
    def damaged(self) -> tuple[int, ...]:
        """Numbers, from 1, of the lines of the ledger that cannot be read: cut short by a power cut, say."""
        return read_ledger(self.folder).damaged

    def cases(self) -> list[ListedCase]:
        """Every case as it is now, as listed.

        Raises:
            InputError: if the ledger cannot be read.
        """
        found = {case.name: case for case in self._facts.cases}
        for entry in read_ledger(self.folder).entries:
            case = found.get(str(entry["case"]))
            if case is not None:
                found[case.name] = after(case, entry)
        now = self._clock()
        return [at(case, now, wanted=self.readers_wanted) for case in found.values()]

    def case(self, name: str) -> ListedCase:
        """One case as it is now.

        Raises:
            InputError: if there is none of this name.
        """
        found = next((case for case in self.cases() if case.name == name), None)
        if found is None:
            raise InputError(f"expected a case of the worklist {self.folder}, found {name!r}; `ultralight worklist list` names them")
        return found

    def image_of(self, case: ListedCase) -> Path:
        """Where the image of a case is, or should be."""
        return self._root() / case.image

    def labels_of(self, case: ListedCase) -> Path | None:
        """Where a model's labels of a case are, or should be; None if it has none."""
        return from_there(self.folder.resolve(), case.labels) if case.labels else None

    def next(self, reader: str) -> Handed:
        """Hand a reader the case that is worth most to them: the one that they have in work, else the next that is free.

        It is theirs alone until they check, reject or give it back, or the time is over that the list grants. What cannot be opened is
        passed over and told of; it comes again as soon as it can be opened.

        Raises:
            InputError: if nobody is called so, or the folder of the images is gone.
            OutputError: if it cannot be noted.
        """
        key = self._key(reader)
        cases = by_gain(self.cases()) if self._facts.order == "gain" else self.cases()
        own = [case for case in cases if (reading := case.reading_of(key)) and reading.state != CHECKED and not case.reason]
        told: list[str] = []
        # Once, and not for each case in its turn: a disk that is not there is one obstacle.
        self._root()
        for case in (*own, *(case for case in cases if case.is_open_to(key, wanted=self.readers_wanted))):
            try:
                # Without the lock, because it takes as long as reading an image.
                open_image(case, self.image_of(case))
            except InputError as error:
                told.append(str(error))
                continue
            taken = self._take(case.name, key)
            # None: another program was quicker.
            if taken is not None:
                return self._handed(taken, told)
        return Handed(None, told=tuple(told))

    def take(self, name: str, reader: str) -> Handed:
        """Hand a reader a certain case.

        Raises:
            InputError: if there is no such case, it is not free, or its image cannot be opened.
            OutputError: if it cannot be noted.
        """
        key, case = self._key(reader), self.case(name)
        open_image(case, self.image_of(case))
        taken = self._take(name, key)
        if taken is None:
            case = self.case(name)
            who = " and ".join(f"{reading.state} by {reading.reader}" for reading in case.readings) or case.state
            raise InputError(
                f"expected a case that is free for {key}, found {name} {who}; take another one, or wait until it is given back"
            )
        return self._handed(taken, [])

    def give_back(self, name: str, reader: str) -> ListedCase:
        """Undo what a reader has said of a case: it is no longer in their work, not checked by them, not rejected.

        Raises:
            InputError: if there is no such case, or the reader has nothing to do with it.
            OutputError: if it cannot be noted.
        """
        key = self._key(reader)
        with self._writing():
            case = self.case(name)
            if case.state != REJECTED and case.reading_of(key) is None:
                raise InputError(
                    f"expected a case that {key} has in work or has checked, found {name} {case.state}; there is nothing to undo"
                )
            self._note("returned", name, key)
        return self.case(name)

    def check(self, name: str, reader: str, labels: str | Path | None = None, *, note: str = "") -> ListedCase:
        """Note that a reader is done with a case, also when it was no longer in their work: nobody's work is lost.

        Args:
            name: of the case.
            reader: who has checked it.
            labels: the file with their labels, which is copied into the list; None to keep none.
            note: in their words.

        Raises:
            InputError: if there is no such case, or the labels do not lie on its image.
            OutputError: if it cannot be written.
        """
        key, case = self._key(reader), self.case(name)
        kept = {} if labels is None else self._keep(case, key, Path(labels))
        return self._noted("checked", name, key, note=one_line(note), **kept)

    def reject(self, name: str, reader: str, reason: str) -> ListedCase:
        """Note that a case is not to be read, and why.

        Raises:
            InputError: if there is no such case, or no reason.
            OutputError: if it cannot be noted.
        """
        key, said = self._key(reader), one_line(reason)
        if not said:
            raise InputError(f"expected a reason why {name} is rejected, found none; say it with --reason")
        return self._noted("rejected", name, key, reason=said)

    def label(self, name: str, labels: str | Path, *, model: str = "", confidence: float | None = None) -> ListedCase:
        """Note that a model has labelled a case; readers get these labels to start from.

        Args:
            name: of the case.
            labels: the file, which stays where it is.
            model: NAME@VERSION.
            confidence: see `ListedCase`.

        Raises:
            InputError: if there is no such case, or the labels do not lie on its image.
            OutputError: if it cannot be noted.
        """
        case = self.case(name)
        if confidence is not None and not 0 <= confidence <= 1:
            raise InputError(f"expected a confidence from 0 to 1, found {confidence}; correct it or leave it out")
        found = labels_on(open_image(case, self.image_of(case)), Path(labels), name)
        volumes = {str(label): voxels for label, voxels in found.counts().items()}
        place = as_seen_from(self.folder.resolve(), Path(labels).resolve())
        return self._noted("labelled", name, labels=place, model=one_line(model), confidence=confidence, volumes=volumes)

    def note(self, name: str, text: str, *, reader: str = "") -> ListedCase:
        """Add a note to a case.

        Raises:
            InputError: if there is no such case, or nothing is said.
            OutputError: if it cannot be noted.
        """
        said = one_line(text)
        if not said:
            raise InputError(f"expected a note on {name}, found no words; say it with --note")
        return self._noted("noted", name, self._key(reader) if reader else "", note=said)

    def _key(self, reader: str) -> str:
        return reader_key(reader, salt=self._facts.salt if self._facts.hashed else None)

    def _root(self) -> Path:
        places = [self._images] if self._images else [from_there(self.folder.resolve(), self._facts.images), Path(self._facts.images_then)]
        found = next((place for place in places if place.is_dir()), None)
        if found is None:
            raise InputError(f"expected the images of the worklist in {places[-1]}, found no such folder; say --images where they are now")
        return found

    def _handed(self, case: ListedCase, told: list[str]) -> Handed:
        labels = self.labels_of(case)
        if labels is not None and not labels.is_file():
            told = [*told, f"expected the labels of {case.name}, found nothing at {labels}; begin without them, or put them back"]
            labels = None
        return Handed(case, self.image_of(case), labels, tuple(told))

    def _take(self, name: str, key: str) -> ListedCase | None:
        """Note that a case is in a reader's work, if it is free now."""
        with self._writing():
            case = self.case(name)
            own = case.reading_of(key)
            if case.reason or (own.state == CHECKED if own else not case.is_open_to(key, wanted=self.readers_wanted)):
                return None
            self._note("taken", name, key, until=self._clock() + 3600 * self._facts.hours)
            return self.case(name)

    def _keep(self, case: ListedCase, key: str, path: Path) -> dict[str, str]:
        """A copy of a reader's labels, on the image's grid."""
        image = open_image(case, self.image_of(case))
        found = labels_on(image, path, case.name)
        digest = content_hash(found.labels, case=case.name, reader=key)[:32]
        name = f"readings/{digest}{output_suffix(image.source)}"
        with self._told():
            make_folder((self.folder / name).parent, within=self.folder)
            kept = write_labels(found, self.folder / name)
            share(kept)
            sync_folder(kept.parent)
            return {"labels": name, "labels_sha256": file_hash(kept)}

    def _noted(self, event: str, name: str, key: str = "", **facts: Any) -> ListedCase:
        with self._writing():
            self.case(name)
            self._note(event, name, key, **facts)
            return self.case(name)

    def _note(self, event: str, name: str, key: str, **facts: Any) -> None:
        told = {key: value for key, value in facts.items() if value not in ("", None)}
        append(self.folder, {"event": event, "case": name, **({"reader": key} if key else {}), **told, "time": int(self._clock())})

    @contextmanager
    def _writing(self) -> Iterator[None]:
        with self._told(), only_writer(self.folder / LOCK, wait=self._wait):
            yield

    @contextmanager
    def _told(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            raise OutputError(
                f"expected to write to the worklist {self.folder}, found an obstacle: {error.strerror or error}; "
                "nothing of it was noted; free space there or check its permissions, and say it again"
            ) from error
