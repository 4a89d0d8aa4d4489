"""One case from its image to its labels and its record: the same function in one process, in a shard, and on a cluster."""

from __future__ import annotations

import logging
import time
from collections.abc import Generator, Iterator
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Any

from ..corrections.files import image_hash
from ..disk import make_folder, replace_durably
from ..engines import Engine
from ..errors import InputError, ModelError, OutputError, brief
from ..events import Progress
from ..exports.tables import class_table
from ..inference.confidence import Confidence
from ..inference.files import label_file
from ..inference.request import Request
from ..inference.session import Session
from ..io import output_suffix
from ..volume import Segmentation, Volume
from .cases import Case, readable
from .pictures import picture_of
from .place import Place, obstacle_behind, obstacles_told
from .recipe import Recipe
from .records import DONE, FAILED, CaseRecord, ClassVolume

_LOG = logging.getLogger(__name__)


class Labeller:
    """Labels case after case with one warm model.

    Args:
        recipe: how.

    Raises:
        ModelError: if the model cannot be used.
        InputError: if the engine or device is not to be had here.

    Example:
        >>> from pathlib import Path
        >>> import ultralightunet as ulu
        >>> from ultralightunet.cohort import Case, Labeller, Recipe, open_place
        >>> from ultralightunet.events import finish
        >>> recipe = Recipe.of(ulu.load_model("hippocampus"), threads=1)
        >>> case = Case("left", Path("sample_data/colin27_hippocampus_left.nii.gz"))
        >>> record = finish(Labeller(recipe).label(case, open_place("results", recipe)))
        >>> record.state, record.labels, [volume.name for volume in record.volumes]
        ('done', 'labels/left.nii.gz', ['anterior hippocampus', 'posterior hippocampus'])
    """

    def __init__(self, recipe: Recipe) -> None:
        self.recipe = recipe
        self._request = recipe.request()
        self._confidence: Confidence | None = None
        self._session = Session(wrap=self._watched)
        self._session.warm(self._request)

    def label(self, case: Case, place: Place) -> Generator[Progress, None, CaseRecord]:
        """Write the labels, the record and the log of a case; the record comes last, so that labels with a record are whole.

        Labels of an earlier image of that name are kept in the folder `earlier`; of the same image, saved anew, nothing is done again.

        Yields:
            How far it is; closing the generator leaves the case as it was.

        Returns:
            The record, of a failure too: whatever is wrong with an image is no reason to end the run.

        Raises:
            ObstacleError: if the folder for results cannot be written.
            ModelError: if the model cannot be used.
        """
        began = time.perf_counter()
        facts = facts_before(case, self.recipe)
        yield Progress("Reading", 0, 1)
        with case_log(place, case) as log:
            log.note(f"{case.source} with {self.recipe.model}")
            try:
                facts |= yield from self._labelled(case, place, log)
                facts |= {"state": DONE, "seconds": round(time.perf_counter() - began, 3)}
            except _UnchangedError as same:
                facts = {**asdict(same.record), "volumes": same.record.volumes, "fingerprint": facts["fingerprint"]}
                log.note("the image is the same as before, and so are its labels")
            except (InputError, OutputError) as error:
                obstacle = obstacle_behind(error, place.folder) if isinstance(error, OutputError) else None
                if obstacle:
                    raise obstacle from error
                facts["failure"] = str(error)
            except MemoryError:
                facts["failure"] = "expected an image that fits into memory, found a larger one; close other programs"
            except ModelError:
                raise
            except Exception as error:  # noqa: BLE001 - the border: one bad scan never stops the run, and its log has the traceback
                _LOG.exception("the case failed")
                found = f"{type(error).__name__}: {brief(error)}"
                facts["failure"] = f"expected labels, found a fault in UltraLight: {found}; please report it with the case's log"
            record = CaseRecord(**facts)
            for sentence in (*record.warnings, record.failure):
                log.note(sentence)
            place.write(case, record)
        return record

    def _labelled(self, case: Case, place: Place, log: CaseLog) -> Generator[Progress, None, dict[str, Any]]:
        """Returns what a record tells of the labels."""
        before = place.read(case)
        image_sha256 = ""

        def wanted(image: Volume) -> tuple[Request, Path]:
            nonlocal image_sha256
            image_sha256 = image_hash(image.array, image.affine, channels=image.channels, has_spacing=image.has_spacing)
            target = place.labels(case, output_suffix(image.source))
            with obstacles_told(place.folder):
                make_folder(target.parent, within=place.folder)
                if before and before.state == DONE and target.exists():
                    if before.image_sha256 == image_sha256 and before.recipe == self.recipe.key:
                        raise _UnchangedError(before)
                    set_aside(target, place)
            return self._request, target

        assert self._confidence is not None
        self._confidence.take()
        series = case.series or None
        labelled = yield from label_file(self._session, case.image, wanted, volume_index=self.recipe.volume_index, series=series)
        log.note(", ".join(f"{name} {seconds:.2f} s" for name, seconds in labelled.seconds.items()))
        if case.uri:
            with obstacles_told(place.folder):
                replace_durably(place.folder / f"{case.stem}.tsv", class_table(labelled.segmentation.classes))
        place.keep_picture(case, picture_of(labelled.image, labelled.segmentation))
        segmentation, confidence = labelled.segmentation, self._confidence.take()
        return {
            "image_sha256": image_sha256,
            "labels": readable(labelled.path.relative_to(place.folder).as_posix()),
            "volumes": volumes_of(segmentation),
            "confidence": None if confidence is None else round(confidence, 4),
            "warnings": (*segmentation.facts["notes"], *segmentation.facts["doubts"]),
        }

    def _watched(self, engine: Engine) -> Confidence:
        self._confidence = Confidence(engine)
        return self._confidence


class _UnchangedError(Exception):
    """The image has the same voxels as before, and its labels are there."""

    def __init__(self, record: CaseRecord) -> None:
        super().__init__()
        self.record = record


def volumes_of(segmentation: Segmentation) -> tuple[ClassVolume, ...]:
    """How much there is of each class."""
    names = {entry.index: entry.name for entry in segmentation.classes}
    ml = segmentation.volumes_ml()
    counts = segmentation.counts()
    return tuple(ClassVolume(n, names.get(n, str(n)), voxels, round(ml[n], 4) if ml else None) for n, voxels in counts.items())


def set_aside(target: Path, place: Place) -> None:
    """Move labels, which may be in a person's hands by now, to a folder of earlier ones, numbered.

    Raises:
        OSError: if they cannot be moved.
    """
    folder = place.folder / "earlier" / target.relative_to(place.folder).parent
    make_folder(folder, within=place.folder)
    number = 1
    while (kept := folder / f"{number}-{target.name}").exists():
        number += 1
    target.rename(kept)


class CaseLog(logging.Handler):
    """The log of one case: what we note, and what libraries warn of meanwhile."""

    def __init__(self, path: Path) -> None:
        super().__init__(logging.WARNING)
        self._path = path

    def emit(self, record: logging.LogRecord) -> None:
        """See `logging.Handler`."""
        self.note(self.format(record))

    def note(self, text: str) -> None:
        """A line, if there is anything to say, at the time of day; a log that cannot be written is no reason to stop."""
        if not text:
            return
        try:
            with self._path.open("a", encoding="utf-8", errors="backslashreplace") as file:
                file.write(f"{time.strftime('%Y-%m-%d %H:%M:%S')} {text}\n")
        except OSError:
            _LOG.debug("the log %s cannot be written", self._path.name)


@contextmanager
def case_log(place: Place, case: Case) -> Iterator[CaseLog]:
    """The log of a case, which also takes what is warned of inside.

    Raises:
        ObstacleError: if there can be none.
    """
    path = place.log(case)
    with obstacles_told(place.folder):
        make_folder(path.parent, within=place.folder)
    log = CaseLog(path)
    logging.getLogger().addHandler(log)
    try:
        yield log
    finally:
        logging.getLogger().removeHandler(log)


def facts_before(case: Case, recipe: Recipe) -> dict[str, Any]:
    """What the record tells of a case that has not come to its labels."""
    from .. import __version__

    return {
        "case": readable(case.name),
        "state": FAILED,
        "image": case.source,
        "uri": case.uri,
        "fingerprint": case.fingerprint(),
        "recipe": recipe.key,
        "model": recipe.model,
        "model_sha256": recipe.model_sha256,
        "version": __version__,
    }
