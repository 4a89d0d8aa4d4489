"""What can be done without a window: nodes go to the process beside Slicer, and what it answers becomes nodes."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import slicer
import vtk
from slicer.ScriptedLoadableModule import ScriptedLoadableModuleLogic
from slicer.util import VTKObservationMixin

from .exchange import Exchange, delete, deleting
from .parameters import UltraLightSegmenterParameterNode
from .pictures import Picture
from .problem import Problem
from .process import Facts, Listener, Worker
from .segmentations import PREDICTION, classes_of, labels_of, make_segmentation, patient_key, prediction_of, volume_of


@dataclass
class _Run:
    """A segmentation under way.

    Attributes:
        number: of the request.
        volume: the node that is being segmented.
        shape: of its array when the run began.
        files: that travel.
        listener: who asked for it.
    """

    number: int
    volume: Any
    shape: tuple[int, int, int]
    files: list[Path]
    listener: Listener


@dataclass(frozen=True)
class Correction:
    """What is to be kept of a segmentation.

    Attributes:
        segmentation: the node.
        store: folder of the store.
        model: NAME@VERSION that made it, or that it is meant for.
        classes: of that model and of the store, background first.
        checked: makes a mask or slices by array axis of what was looked at, None for everything.
        confirmed: a person says that there is nothing to correct.
    """

    segmentation: Any
    store: str
    model: str
    classes: Sequence[Facts] = ()
    checked: Callable[[Picture], Any] = field(default=lambda picture: None)
    confirmed: bool = False


class UltraLightSegmenterLogic(ScriptedLoadableModuleLogic, VTKObservationMixin):
    """Call `poll` now and then, from a timer say: that is when listeners hear of what they asked for.

    Attributes:
        worker: segments, saves and exports; stays warm.
        trainer: retrains, so that one can go on segmenting meanwhile.
    """

    def __init__(self, worker: Worker, trainer: Worker, *, folder: Path | None = None) -> None:
        ScriptedLoadableModuleLogic.__init__(self)
        VTKObservationMixin.__init__(self)
        self.worker = worker
        self.trainer = trainer
        self._exchange = Exchange(folder)
        self._run: _Run | None = None
        self._training = 0
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

    def poll(self) -> None:
        """Hear what the processes say."""
        self.worker.poll()
        self.trainer.poll()

    def close(self) -> None:
        """Stop everything, and leave no file behind."""
        self.removeObservers()
        self._run = None
        self._training = 0
        self.worker.stop()
        self.trainer.stop()
        self._exchange.close()

    # ---- segmenting

    def segment(
        self, volume: Any, listener: Listener, *, model: str, scope: Callable[[Picture], Facts] = lambda picture: {}, **options: Any
    ) -> None:
        """Segment a volume node; the listener gets {"node": the new segmentation node, ...}.

        Args:
            volume: the node.
            listener: hears of it, once.
            model: a name, NAME@VERSION, or a folder.
            scope: makes the core's `box`, or `axis` and `slice`, from the picture.
            **options: the core's `device`, `step`, `nan_fill`.

        Raises:
            Problem: if it cannot be begun.
        """
        if self._run is not None:
            raise Problem("Expected to segment one volume at a time, found one under way; wait for it or cancel it")
        picture = Picture.of(volume)
        arguments = {**scope(picture), **options}
        image, labels = self._exchange.path("image"), self._exchange.path("labels")
        files = [image, labels]
        self._exchange.write(image, picture.array)
        try:
            number = self.worker.ask(
                Listener(self._segmented, self._failed, listener.progress),
                do="segment",
                model=model,
                image=str(image),
                affine=picture.affine.tolist(),
                channels=picture.channels,
                labels=str(labels),
                **arguments,
            )
        except Problem:
            delete(files)
            raise
        self._run = _Run(number, volume, picture.shape, files, listener)

    def cancel(self) -> None:
        """Stop the segmentation that is under way; it ends within one window of the network, and nothing is added."""
        if self._run is not None:
            self.worker.cancel(self._run.number)

    def _segmented(self, answer: Facts) -> None:
        run = self._end_run()
        if run is None:
            return
        try:
            labels = np.load(run.files[1])
            picture = Picture.of(run.volume)
            if picture.shape != labels.shape:
                raise Problem(
                    f"Expected {run.volume.GetName()} as it was, found it changed while it was being segmented; click Segment again"
                )
            node = make_segmentation(labels, picture, answer)
        except OSError as error:
            run.listener.failed(f"Expected to read the labels, found an obstacle: {error}; free space on the disk and try again")
        except Problem as problem:
            run.listener.failed(str(problem))
        else:
            run.listener.done({**answer, "node": node, "is_empty": not labels.any()})
        finally:
            delete(run.files)

    def _failed(self, sentence: str) -> None:
        run = self._end_run()
        if run is not None:
            delete(run.files)
            run.listener.failed(sentence)

    def _end_run(self) -> _Run | None:
        run, self._run = self._run, None
        return run

    def _abandon(self, sentence: str) -> None:
        """End the run at once for the user; the process follows within one window, and is not listened to."""
        if self._run is not None:
            self.worker.cancel(self._run.number, silently=True)
            self._failed(sentence)

    @vtk.calldata_type(vtk.VTK_OBJECT)
    def _on_removal(self, caller: Any, event: str, node: Any) -> None:
        if slicer.mrmlScene.IsClosing():
            return
        if self._run is not None and node is self._run.volume:
            self._abandon(f"{node.GetName()} was removed while it was being segmented; nothing was added")
        kept = node.GetNodeReference(PREDICTION) if node.IsA("vtkMRMLSegmentationNode") else None
        if kept is not None:
            slicer.mrmlScene.RemoveNode(kept)

    def _on_close(self, caller: Any, event: str) -> None:
        self._abandon("The scene was closed while a volume was being segmented; nothing was added")

    # ---- models and stores

    def list_models(self, listener: Listener) -> None:
        """Ask for {"models": [...], "home": folder}."""
        self.worker.ask(listener, do="models")

    def install_model(self, folder: str, listener: Listener) -> None:
        """Add a model folder to the user's models; the listener gets its facts."""
        self.worker.ask(listener, do="install", folder=folder)

    def describe_store(self, model: str, listener: Listener, *, folder: str = "") -> None:
        """Ask what the store of a model holds, and which versions the model has."""
        self.worker.ask(listener, do="store", model=model, folder=folder)

    def use_version(self, model: str, listener: Listener) -> None:
        """Make NAME@VERSION the version that NAME stands for."""
        name, _, version = model.partition("@")
        self.worker.ask(listener, do="use", name=name, version=version)

    def save_correction(self, correction: Correction, listener: Listener) -> None:
        """Add a segmentation, with its volume and what the model had said, to a store.

        Raises:
            Problem: if the segmentation cannot be used.
        """
        node = correction.segmentation
        if node is None:
            raise Problem("Expected a segmentation, found none; choose one under Correct, or click Segment")
        volume = volume_of(node)
        if volume is None:
            raise Problem(
                f"Expected the volume of {node.GetName()}, found that it is not in the scene; load it and choose it in the Segment Editor"
            )
        picture = Picture.of(volume)
        classes = classes_of(node, correction.classes)
        arrays = {"image": picture.array, "labels": labels_of(node, picture, classes)}
        prediction, checked = prediction_of(node, picture), correction.checked(picture)
        if prediction is not None:
            arrays["prediction"] = prediction
        if isinstance(checked, np.ndarray):
            arrays["checked"] = checked
        files = {name: self._exchange.path(name) for name in arrays}
        for name, path in files.items():
            self._exchange.write(path, arrays[name])
        self.worker.ask(
            deleting(list(files.values()), listener),
            do="save",
            **{"prediction": None, "checked": checked, **{name: str(path) for name, path in files.items()}},
            store=correction.store,
            affine=picture.affine.tolist(),
            channels=picture.channels,
            classes=[{key: entry[key] for key in ("index", "name", "color", "snomed")} for entry in classes],
            model=correction.model,
            patient_key=patient_key(volume),
            confirmed=correction.confirmed,
        )

    def export(self, store: str, folder: str, format: str, listener: Listener) -> None:
        """Write a store for other tools into a new or empty folder."""
        self.worker.ask(listener, do="export", store=store, folder=folder, format=format)

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
            raise Problem("Expected to retrain once at a time, found it under way; wait for it or stop it")

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
