"""One retraining from beginning to end: corrections in, a new version of the model out, beside the old one."""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Generator, Sequence
from dataclasses import dataclass, field, replace
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from ..corrections import Revision, Store
from ..errors import InputError
from ..events import Epoch, Progress, finish
from ..models import LabelClass, Model, are_sided, images_seen, load_model, set_current
from .candidate import installed_parent, temporary_model, write_version
from .exemplars import exemplars_of
from .images import images_in, known_images, sample_images
from .outcome import FEWEST_HELD_OUT, Comparison, Drift, Outcome, decide
from .prepared import Prepared, prepared
from .record import measured, origin_of
from .scoring import Labeller, agreement, scores_against
from .selection import Selection, as_known_to, select, target_of

if TYPE_CHECKING:
    from .learning import Method, Weights

Events = Generator[Progress | Epoch, None, Any]

_ESTIMATE_SHARE = 0.3
"""Of the training, for cross-validation where too few cases are held out."""

_FOLDS = 2


@dataclass(frozen=True)
class Retraining:
    """What is asked for.

    Attributes:
        minutes: of training; what comes before and after takes a fraction of a minute more.
        steps: of training, in place of minutes.
        threads: of the CPU, None for all.
        seed: of everything random.
        new_classes: to be added to the model's.
        images: further images, without labels, of the kind that the model is for: files and folders.
        accept: whether the new version is used even where there are too few cases to decide.
        clock: tells the seconds that `minutes` counts.
        method: see `Method`; None for the default.

    Example:
        >>> from ultralightunet import LabelClass
        >>> from ultralightunet.retraining import Retraining
        >>> Retraining(minutes=5, new_classes=(LabelClass(2, "tumour"),)).accept
        False
    """

    minutes: float = 2.5
    steps: int = 0
    threads: int | None = None
    seed: int = 0
    new_classes: Sequence[LabelClass] = ()
    images: Sequence[Path] = ()
    accept: bool = False
    clock: Callable[[], float] = time.perf_counter
    method: Method | None = field(default=None)


def retrain(store: Store, model: str | Path | Model, request: Retraining | None = None) -> Outcome:
    """Retrain a model on the corrections of a store; see `retraining`.

    Example:
        >>> from itertools import count
        >>> import numpy as np
        >>> import ultralightunet as ulu
        >>> from ultralightunet.corrections import Store
        >>> from ultralightunet.retraining import Retraining, retrain
        >>> model, store = ulu.load_model("breast-lesion"), Store("lesion-corrections")
        >>> picture = ulu.Volume(np.indices((64, 64)).sum(0).astype(np.uint8), has_spacing=False)
        >>> lesion = ulu.Segmentation((picture.array > 80).astype(np.uint8), picture.affine, model.classes, has_spacing=False)
        >>> revision = store.add(picture, lesion, None)
        >>> outcome = retrain(store, model, Retraining(minutes=0.05, threads=1, clock=count().__next__))  # a clock of its own: some steps
        >>> outcome.model.id, outcome.decision
        ('breast-lesion@0.1.0+r1', 'ask')
    """
    return finish(retraining(store, model, request))


def retraining(store: Store, model: str | Path | Model, request: Retraining | None = None) -> Generator[Progress | Epoch, None, Outcome]:
    """Retrain a model; closing the generator cancels, and leaves everything as it was.

    Args:
        store: of corrections; is not changed.
        model: to start from.
        request: what is asked for.

    Returns:
        What came of it. The new version is installed; it is current only if it is not worse, see `decide`.

    Raises:
        InputError: if the corrections cannot be used.
        ModelError: if the model cannot.
        OutputError: if the new version cannot be written; everything is then as before.
        TrainingError: if the training failed.

    Example:
        >>> from ultralightunet.corrections import Store
        >>> from ultralightunet.retraining import retraining
        >>> work = retraining(Store("lesion-corrections"), "breast-lesion")
        >>> next(work)
        Progress(stage='Preparing', done=0, total=1)
        >>> work.close()  # cancels
    """
    request = request or Retraining()
    began = time.perf_counter()
    if request.minutes <= 0:
        raise InputError(f"expected a time above 0 minutes, found {request.minutes:g}; give it one or more")
    if request.steps < 0:
        raise InputError(f"expected a number of steps above 0, found {request.steps}; leave it out to train for minutes")
    if find_spec("torch") is None:
        raise InputError("expected PyTorch to train with, found none installed; pip install 'napari-ultralight[train]'")
    yield Progress("Preparing", 0, 1)
    parent = installed_parent(load_model(model))
    # Read now, once and for all: from here on the folder may be deleted.
    parent.weights()
    selection = select(store, parent, new_classes=request.new_classes)
    work = _Work(parent, selection, request)
    yield from work.prepare(store)
    weights = yield from work.learn()
    yield Progress("Comparing", 0, 1)
    with temporary_model(work.child, weights) as candidate:
        yield from work.compare(candidate)
    decision, sentence = decide(work.holdout, work.estimate, work.exemplars, work.drift)
    if decision == "ask" and request.accept:
        decision, sentence = "promoted", f"The new version is in use, as was asked for. {sentence}"
    if selection.set_aside:
        sentence += f" {len(selection.set_aside)} held-out case(s) were left out, because a version before was trained on them."
    yield Progress("Saving", 0, 1)
    told = {"steps": request.steps} if request.steps else {"minutes": request.minutes}
    origin = origin_of(selection, decision, {**told, "seed": request.seed})
    scores = measured(work.holdout, work.estimate, work.exemplars, work.drift)
    written = write_version(work.child, weights, origin=origin, scores=scores, parent=parent)
    if decision == "promoted":
        set_current(written.name, written.version)
    yield Progress("Saving", 1, 1)
    names = tuple(revision.name for revision in selection.train)
    seconds = time.perf_counter() - began
    return Outcome(written, parent.id, decision, sentence, work.holdout, work.estimate, work.exemplars, work.drift, names, seconds)


class _Work:
    """What one retraining has at hand."""

    def __init__(self, parent: Model, selection: Selection, request: Retraining) -> None:
        from .learning import Method

        self.parent = parent
        self.selection = selection
        self.request = request
        self.method = request.method or Method()
        count = len(selection.classes)
        out_channels = parent.architecture.out_channels if count == len(parent.classes) else count
        # The last axis goes to the right: a class of one side cannot be told from the other in a mean of both.
        across = parent.spatial_dims - 1
        self.child = replace(
            parent,
            architecture=replace(parent.architecture, out_channels=out_channels),
            classes=selection.classes,
            mirrored=tuple(axis for axis in parent.mirrored if axis != across) if are_sided(selection.classes) else parent.mirrored,
            parent=parent.id,
        )
        self.labeller = Labeller(parent, threads=request.threads)
        self.corrected: dict[Revision, list[Prepared]] = {}
        self.rehearsal: list[Prepared] = []
        self.labelled: list[Prepared] = []
        self.others: list[tuple[Any, np.ndarray]] = []
        self.known: list[tuple[Any, np.ndarray, np.ndarray]] = []
        self.before: dict[Revision, np.ndarray] = {}
        self.holdout: Comparison | None = None
        self.estimate: Comparison | None = None
        self.exemplars: Comparison | None = None
        self.drift: Drift | None = None

    def prepare(self, store: Store) -> Events:
        """Read what is needed, and let the parent label it."""
        train, holdout = self.selection.train, self.selection.holdout
        total = len(train) + len(holdout) + 1
        for done, revision in enumerate(train):
            yield Progress("Preparing", done, total)
            target = target_of(revision, self.selection.classes)
            self.corrected[revision] = list(prepared(revision.image(), target, self.parent, name=revision.name))
        for done, revision in enumerate(holdout, start=len(train)):
            yield Progress("Preparing", done, total)
            self.before[revision] = self.labeller(revision.image())
        yield Progress("Preparing", total - 1, total)
        outside = {revision.image_sha256 for revision in store.revisions()}
        self._prepare_exemplars(outside)
        given = images_in(self.request.images)
        found = [
            *known_images(given, self.labeller, outside=outside, strict=True),
            *known_images(sample_images(), self.labeller, outside=outside, strict=False),
        ]
        # The first one measures, the second rehearses, and so on: what rehearses cannot measure.
        self.others = found[::2]
        for image, _ in found[1::2]:
            self.rehearsal += prepared(image, None, self.parent)
        yield Progress("Preparing", total, total)

    def _prepare_exemplars(self, outside: Collection[str]) -> None:
        """Labelled images of before: those that the model brings along, else corrections that it has learned from already."""
        seen = images_seen(self.parent)
        brought = [found for found in exemplars_of(self.parent) if found.sha256 not in outside]
        for number, found in enumerate(brought):
            target = as_known_to(found.target, len(self.parent.classes), self.selection.classes)
            if number % 2:
                # The first one measures, the second rehearses, and so on.
                self.labelled += prepared(found.image, target, self.parent, name=found.name)
            else:
                self.known.append((found.image, target, self.labeller(found.image)))
        for revision in () if brought else [revision for revision in self.selection.train if revision.image_sha256 in seen]:
            image = revision.image()
            self.known.append((image, target_of(revision, self.selection.classes), self.labeller(image)))

    def learn(self) -> Generator[Progress | Epoch, None, Weights]:
        """Cross-validate where that is needed, then train on every case."""
        train, share = self.selection.train, 1.0
        if len(self.selection.holdout) < FEWEST_HELD_OUT and len(_groups(train)) > 1:
            yield from self._cross_validate(_ESTIMATE_SHARE)
            share -= _ESTIMATE_SHARE
        return (yield from self._fit(train, self.selection.holdout, share))

    def _cross_validate(self, share: float) -> Events:
        groups = _groups(self.selection.train)
        folds = [groups[n::_FOLDS] for n in range(min(_FOLDS, len(groups)))]
        parent, candidate = [], []
        for fold in folds:
            left_out = [revision for group in fold for revision in group]
            rest = [revision for revision in self.selection.train if revision not in left_out]
            weights = yield from self._fit(rest, left_out, share / len(folds))
            with temporary_model(self.child, weights) as model:
                label = Labeller(model, threads=self.request.threads)
                for revision in left_out:
                    image, target = revision.image(), target_of(revision, self.selection.classes)
                    before, after = scores_against(target, (self.labeller(image), label(image)))
                    parent.append(before)
                    candidate.append(after)
        self.estimate = Comparison(len(parent), float(np.mean(parent)), float(np.mean(candidate)))

    def _fit(self, train: Sequence[Revision], others: Sequence[Revision], share: float) -> Generator[Epoch, None, Weights]:
        """Learn from some cases for a share of what was asked for."""
        from .learning import learning
        from .watching import Watcher

        request = self.request
        seconds = request.minutes * 60 * share
        watch = Watcher(self.child, others, self.selection.classes, seconds) if others else None
        teacher = self._teacher()
        return (
            yield from learning(
                self.parent,
                self.selection.classes,
                [case for revision in train for case in self.corrected[revision]],
                self.rehearsal,
                teacher,
                seconds=seconds,
                steps=max(1, round(request.steps * share)) if request.steps else 0,
                threads=request.threads,
                seed=request.seed,
                method=self.method,
                labelled=self.labelled,
                validate=watch,
                clock=request.clock,
            )
        )

    def _teacher(self) -> Any:
        from ..engines import make_engine

        # Not mirrored, whatever the parent's labels are made of: asked at every other step, it would cost two or four times as much.
        return make_engine(self.parent, threads=1)

    def compare(self, candidate: Model) -> Events:
        """The candidate against the parent: on what was held out, and on images outside the corrections."""
        label = Labeller(candidate, threads=self.request.threads)
        total = len(self.before) + len(self.known) + len(self.others)
        scores = []
        for done, (revision, before) in enumerate(self.before.items()):
            yield Progress("Comparing", done, total)
            scores.append(scores_against(target_of(revision, self.selection.classes), (before, label(revision.image()))))
        if scores:
            parent, child = np.mean(scores, axis=0)
            self.holdout = Comparison(len(scores), float(parent), float(child))
        known = []
        for done, (image, target, before) in enumerate(self.known, start=len(scores)):
            yield Progress("Comparing", done, total)
            known.append(scores_against(target, (before, label(image))))
        if known:
            parent, child = np.mean(known, axis=0)
            self.exemplars = Comparison(len(known), float(parent), float(child))
        agreed = []
        for done, (image, before) in enumerate(self.others, start=len(scores) + len(known)):
            yield Progress("Comparing", done, total)
            agreed.append(agreement(before, label(image), len(self.parent.classes)))
        if agreed:
            self.drift = Drift(len(agreed), float(np.mean(agreed)))


def _groups(revisions: Sequence[Revision]) -> list[list[Revision]]:
    """Cases of one patient together."""
    found: dict[str, list[Revision]] = {}
    for revision in revisions:
        found.setdefault(revision.group, []).append(revision)
    return list(found.values())
