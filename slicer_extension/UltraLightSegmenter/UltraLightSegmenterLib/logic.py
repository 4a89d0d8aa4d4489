"""What can be done without a window: nodes go to the process beside Slicer, and what it answers becomes nodes."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import slicer
import vtk
from slicer.i18n import tr as _
from slicer.ScriptedLoadableModule import ScriptedLoadableModuleLogic
from slicer.util import VTKObservationMixin

from .core import HOME
from .correction import Correction
from .exchange import Exchange, delete, deleting
from .opening import opened
from .parameters import UltraLightSegmenterParameterNode
from .pictures import Picture
from .pointing import Pointing
from .problem import Problem
from .process import Facts, Listener, Worker
from .run import Run
from .segmentations import forget_prediction
from .sequences import frame_of

PAUSE = 0.01
"""Seconds between two looks at the process while a script waits."""


class UltraLightSegmenterLogic(ScriptedLoadableModuleLogic, VTKObservationMixin):
    """Call `poll` now and then, from a timer say: that is when listeners hear of what they asked for.

    Attributes:
        worker: segments, saves and exports; stays warm.
        trainer: retrains, so that one can go on segmenting meanwhile.
        pointing: labels what a user points at.
    """

    def __init__(self, worker: Worker, trainer: Worker, *, folder: Path | None = None) -> None:
        ScriptedLoadableModuleLogic.__init__(self)
        VTKObservationMixin.__init__(self)
        self.worker = worker
        self.trainer = trainer
        self._exchange = Exchange(folder)
        self.pointing = Pointing(worker, self._exchange)
        self._run: Run | None = None
        self._training = 0
        self._lasting_requests = 0
        self.addObserver(slicer.mrmlScene, slicer.mrmlScene.NodeAboutToBeRemovedEvent, self._on_removal)
        self.addObserver(slicer.mrmlScene, slicer.mrmlScene.StartCloseEvent, self._on_close)

    def getParameterNode(self) -> UltraLightSegmenterParameterNode:
        """What the user has chosen in this scene."""
        return UltraLightSegmenterParameterNode(super().getParameterNode())

    @property
    def is_segmenting(self) -> bool:
        """Whether a segmentation is under way."""
        return self._run is not None

    @property
    def is_waiting(self) -> bool:
        """Whether anything is under way, for which `poll` has to be called."""
        return self.worker.is_busy or self.trainer.is_busy

    @property
    def is_retraining(self) -> bool:
        """Whether a retraining is under way."""
        return bool(self._training)

    @property
    def is_working(self) -> bool:
        """Whether something is under way that would be lost if its process ended: more than a question about models or stores."""
        return self.is_segmenting or self.is_retraining or self.pointing.is_busy or self._lasting_requests > 0

    def poll(self) -> None:
        """Hear what the processes say."""
        self.worker.poll()
        self.trainer.poll()

    def close(self) -> None:
        """Stop everything, and leave no file behind."""
        self.removeObservers()
        if self._run is not None:
            self._run.forget()
        self._run = None
        self._training = 0
        self.pointing.drop()
        self.worker.stop()
        self.trainer.stop()
        self._exchange.close()

    # ---- segmenting

    def process(self, volume: Any, model: str, **options: Any) -> Any:
        """Segment a volume node and wait for it: for scripts.

        Args:
            volume: the node.
            model: a name, NAME@VERSION, or a folder.
            **options: those of `segment`.

        Returns:
            The new segmentation node.

        Raises:
            Problem: if it cannot be done.
        """
        found: list[Facts] = []
        failed: list[str] = []
        self.segment(volume, Listener(found.append, failed.append), model=model, **options)
        while not (found or failed):
            self.poll()
            slicer.app.processEvents()
            time.sleep(PAUSE)
        if failed:
            raise Problem(failed[0] or _("Cancelled; nothing was added"))
        return found[0]["node"]

    def segment(
        self,
        volume: Any,
        listener: Listener,
        *,
        model: str,
        scope: Callable[[Picture], Facts] = lambda picture: {},
        frame: int | None = None,
        confirm: Callable[[Sequence[str]], bool] | None = None,
        **options: Any,
    ) -> None:
        """Segment a volume node; the listener gets {"node": the new segmentation node, ...}.

        Args:
            volume: the node.
            listener: hears of it, once.
            model: a name, NAME@VERSION, or a folder.
            scope: makes the core's `box`, or `axis` and `slice`, from the picture.
            frame: which one of a sequence, from 0; None for the one that the volume shows.
            confirm: as of `Run`.
            **options: the core's `device`, `step`, `nan_fill`, `threads`.

        Raises:
            Problem: if it cannot be begun.
        """
        if self._run is not None:
            raise Problem(_("Expected to segment one volume at a time, found one under way; wait for it or cancel it"))
        run = Run(self.worker, self._exchange, volume, listener, self._run_ended, frame, confirm)
        run.start(model=model, scope=scope, **options)
        self._run = run

    def cancel(self) -> None:
        """Stop the segmentation that is under way; nothing is added."""
        if self._run is not None:
            self._run.abandon("")

    def _run_ended(self) -> None:
        self._run = None

    @vtk.calldata_type(vtk.VTK_OBJECT)
    def _on_removal(self, caller: Any, event: str, node: Any) -> None:
        if slicer.mrmlScene.IsClosing():
            return
        if self._run is not None and node is self._run.volume:
            self._run.abandon(_("{name} was removed while it was being segmented; nothing was added").format(name=node.GetName()))
        if node is self.pointing.volume:
            self.pointing.forget(_("{name} was removed; what was pointed at in it is given up").format(name=node.GetName()))
        forget_prediction(node)

    def _on_close(self, caller: Any, event: str) -> None:
        if self._run is not None:
            self._run.abandon(_("The scene was closed while a volume was being segmented; nothing was added"))
        self.pointing.forget()

    # ---- models and stores

    def _lasting(self, listener: Listener) -> Listener:
        """A listener to something that changes files: it counts as work until it has ended."""
        self._lasting_requests += 1

        def done(facts: Facts) -> None:
            self._lasting_requests -= 1
            listener.done(facts)

        def failed(sentence: str) -> None:
            self._lasting_requests -= 1
            listener.failed(sentence)

        return Listener(done, failed, listener.progress)

    def move_home(self, folder: str) -> None:
        """Take another folder for models and corrections.

        Raises:
            Problem: if something is under way, which would be lost.
        """
        if self.is_working:
            raise Problem(_("Expected nothing under way, found that work goes on; wait for it or cancel it, then change the data folder"))
        os.environ[HOME] = folder
        # The processes are told of the folder when they start.
        self.worker.stop()
        self.trainer.stop()

    def list_models(self, listener: Listener) -> None:
        """Ask for {"models": [...], "home": folder}."""
        self.worker.ask(listener, do="models")

    def install_model(self, folder: str, listener: Listener) -> None:
        """Add a model folder to the user's models; the listener gets its facts."""
        self.worker.ask(self._lasting(listener), do="install", folder=folder)

    def describe_store(self, model: str, listener: Listener, *, folder: str = "") -> None:
        """Ask what the store of a model holds, and which versions the model has."""
        self.worker.ask(listener, do="store", model=model, folder=folder)

    def use_version(self, model: str, listener: Listener) -> None:
        """Make NAME@VERSION the version that NAME stands for."""
        name, _at, version = model.partition("@")
        self.worker.ask(self._lasting(listener), do="use", name=name, version=version)

    def save_correction(self, correction: Correction, listener: Listener) -> None:
        """Add a segmentation, with its volume and what the model had said, to a store.

        Raises:
            Problem: if the segmentation cannot be used.
        """
        files, request, picture = correction.hand_over(self._exchange)
        frame = frame_of(picture.node)
        image = picture.node.GetName() if frame is None else f"{picture.node.GetName()} ({frame})"

        def done(facts: Facts) -> None:
            listener.done({**facts, "image": image})

        told = Listener(done, listener.failed, listener.progress)
        self.worker.ask(self._lasting(deleting(files, told)), do="save", **request)

    def open_case(self, store: str, case: str, listener: Listener) -> None:
        """Bring a case of a store back: its image and its labels as they were kept; the listener gets {"node": the segmentation node, ...}.

        Saving it again makes another revision of the same case.

        Args:
            store: folder of the store.
            case: CASE/REVISION.
            listener: hears of it, once.
        """
        files = {name: self._exchange.path(name) for name in ("image", "labels", "prediction")}

        def done(facts: Facts) -> None:
            try:
                node = opened(case, facts, files)
            except (Problem, OSError) as problem:
                failed(str(problem))
            else:
                delete(list(files.values()))
                listener.done({**facts, "node": node})

        def failed(sentence: str) -> None:
            delete(list(files.values()))
            listener.failed(sentence)

        request = {name: str(path) for name, path in files.items()}
        self.worker.ask(self._lasting(Listener(done, failed, listener.progress)), do="open", store=store, case=case, **request)

    def export(self, store: str, folder: str, format: str, listener: Listener, *, dicom_source: str = "") -> None:
        """Write a store for other tools into a new or empty folder; DICOM wants the folder of the series that the images came from."""
        request = {"store": store, "folder": folder, "format": format, "dicom_source": dicom_source or None}
        self.worker.ask(self._lasting(listener), do="export", **request)

    # ---- retraining

    def retrain(self, store: str, model: str, listener: Listener, *, minutes: float, images: str = "") -> None:
        """Make a new version of a model from a store; its verdict is in the facts that the listener gets.

        Args:
            store: its folder.
            model: NAME@VERSION.
            listener: hears the steps and the verdict.
            minutes: of training.
            images: a folder of images without labels that keep up the model's old skill; "" for none.

        Raises:
            Problem: if one is under way, or it cannot be begun.
        """
        if self._training:
            raise Problem(_("Expected to retrain once at a time, found it under way; wait for it or stop it"))

        def done(facts: Facts) -> None:
            self._training = 0
            self.trainer.stop()
            listener.done(facts)

        def failed(sentence: str) -> None:
            self._training = 0
            self.trainer.stop()
            listener.failed(sentence)

        listening = Listener(done, failed, listener.progress)
        arguments = ["--minutes", f"{minutes:g}", *(["--images", images] if images else [])]
        self._training = self.trainer.ask(listening, do="retrain", store=store, model=model, arguments=arguments)

    def stop_retraining(self) -> None:
        """End it; nothing of it is kept."""
        self.trainer.cancel(self._training)
