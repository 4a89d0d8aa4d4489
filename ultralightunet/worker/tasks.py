"""What the warm process (`server`) can be asked for; each task is a generator of events that ends in JSON-serialisable facts."""

from __future__ import annotations

import inspect
from collections.abc import Generator, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from ..corrections import Store, default_store
from ..errors import InputError
from ..events import Epoch, Progress
from ..home import home
from ..inference.plausibility import doubts_after, doubts_before
from ..inference.request import Box
from ..inference.session import Request, Session
from ..models import LabelClass, images_seen, install_model, list_models, load_model, set_current, versions
from ..volume import Segmentation
from .arrays import read_array, read_volume
from .facts import class_facts, model_facts
from .pointing import Pointing

if TYPE_CHECKING:
    from ..cohort import Labeller

Facts = dict[str, Any]
Work = Generator[Progress | Epoch | Facts, None, Facts]


class Tasks:
    """Knows the tasks by the names under which they are asked for, and keeps the engine of the model last used.

    What is pointed at, `pointing` keeps.
    """

    def __init__(self) -> None:
        self._session = Session()
        self._labeller: Labeller | None = None
        self._pointing = Pointing()

    def begin(self, request: Facts) -> Work:
        """The work of a request, not yet begun.

        Raises:
            InputError: if nothing of that name can be done, or not with what is told about it.
        """
        name = request["do"]
        if name not in self._by_name():
            raise InputError(f"expected a task {', '.join(self._by_name())}, found {name!r}; update UltraLight on both sides")
        arguments = {key: value for key, value in request.items() if key not in ("id", "do")}
        task = self._by_name()[name]
        try:
            inspect.signature(task).bind(**arguments)
        except TypeError as error:
            raise InputError(f"expected what the task {name} takes, found {error}; update UltraLight on both sides") from error
        work: Work = task(**arguments)
        return work

    def _by_name(self) -> dict[str, Any]:
        return {
            "models": self.models,
            "install": self.install,
            "doubts": self.doubts,
            "segment": self.segment,
            "case": self.case,
            "store": self.store,
            "save": self.save,
            "open": self.open,
            "export": self.export,
            "retrain": self.retrain,
            "use": self.use,
            "look_at": self._pointing.look_at,
            "point": self._pointing.point,
            "take_back": self._pointing.take_back,
            "put_away": self._pointing.put_away,
        }

    def models(self) -> Work:
        """Every model, and where the user's are kept."""
        yield Progress("Listing models", 0, 1)
        found = list_models()
        current = {name: load_model(name).id for name in {model.name for model in found}}
        return {"models": [{**model_facts(model), "is_current": current[model.name] == model.id} for model in found], "home": str(home())}

    def install(self, *, folder: str) -> Work:
        """Copy a model folder to the user's models."""
        yield Progress("Installing", 0, 1)
        return model_facts(install_model(Path(folder)))

    def doubts(
        self,
        *,
        model: str,
        image: str,
        affine: Sequence[Sequence[float]],
        channels: int = 1,
        modality: str = "",
        box: Sequence[Sequence[int]] | None = None,
    ) -> Work:
        """Why the array in the file `image` may be of another kind than the model is for; `modality` is DICOM's word, "" if unknown."""
        yield Progress("Looking at the image", 0, 1)
        volume = read_volume(image, affine, channels, modality=modality)
        return {"doubts": list(doubts_before(volume, load_model(model), box=_box(box)))}

    def segment(
        self,
        *,
        model: str,
        image: str,
        affine: Sequence[Sequence[float]],
        labels: str,
        channels: int = 1,
        modality: str = "",
        box: Sequence[Sequence[int]] | None = None,
        **options: Any,
    ) -> Work:
        """Label the array in the file `image` and write the labels to the file `labels`; `options` are those of `Request`."""
        volume = read_volume(image, affine, channels, modality=modality)
        request = Request(load_model(model), box=_box(box), **options)
        segmentation = yield from self._session.segment(volume, request)
        np.save(labels, segmentation.labels)
        return {
            "model": segmentation.model,
            "classes": [class_facts(entry) for entry in segmentation.classes],
            "facts": dict(segmentation.facts),
            "volumes_ml": segmentation.volumes_ml(),
            "doubts": list(doubts_after(segmentation, request.model, box=request.box)),
        }

    def case(self, *, case: Mapping[str, str], folder: str, recipe: Mapping[str, Any]) -> Work:
        """Label a case of a cohort in the folder for its results; returns its record."""
        from ..cohort import Labeller, Place
        from ..cohort.cases import case_from
        from ..cohort.recipe import recipe_from

        wanted = recipe_from(recipe)
        if self._labeller is None or self._labeller.recipe != wanted:
            yield Progress("Loading the model", 0, 1)
            self._labeller = Labeller(wanted)
        record = yield from self._labeller.label(case_from(case), Place(Path(folder)))
        return asdict(record)

    def store(self, *, model: str, folder: str = "") -> Work:
        """What a store holds, by default that of the model; and the versions of the model."""
        yield Progress("Looking into the store", 0, 1)
        name = model.partition("@")[0]
        place = Path(folder) if folder else default_store(name)
        store = Store(place)
        count = store.count()
        return {
            "store": str(place),
            "cases": count.total(),
            "names": store.names(),
            "holdout": count["holdout"],
            "newer": store.newer,
            "classes": [class_facts(entry) for entry in store.classes],
            "versions": [
                {
                    "id": version.model.id,
                    "version": version.model.version,
                    "is_current": version.is_current,
                    "parent": version.parent,
                    "cases": len(version.cases),
                    "scores": dict(version.scores),
                    "created": version.created,
                }
                for version in versions(name)
            ],
        }

    def save(
        self,
        *,
        store: str,
        image: str,
        affine: Sequence[Sequence[float]],
        labels: str,
        prediction: str | None,
        classes: Sequence[Mapping[str, Any]],
        model: str,
        channels: int = 1,
        checked: str | Mapping[str, Sequence[int]] | None = None,
        patient_key: str | None = None,
        confirmed: bool = False,
        has_spacing: bool = True,
        is_flat: bool = False,
    ) -> Work:
        """Save a correction.

        Args:
            store: its folder.
            image: file of the array.
            affine: of the array.
            labels: file of the correction.
            prediction: file of what the model had said, None where there was nothing.
            classes: of the labels, background first.
            model: NAME@VERSION that made the prediction.
            channels: of the image.
            checked: the file of a mask, or slices by array axis, or None for everything.
            patient_key: what identifies the patient, None if it is not known.
            confirmed: a person says that there is nothing to correct.
            has_spacing: as `Volume.has_spacing`.
            is_flat: the arrays are a volume of one slice, (1, j, i), because the host has no others: the image is a picture, (j, i).
        """
        yield Progress("Saving the correction", 0, 1)
        volume = read_volume(image, affine, channels, has_spacing=has_spacing, is_flat=is_flat)
        table = tuple(LabelClass(int(c["index"]), str(c["name"]), tuple(c["color"]), str(c["snomed"])) for c in classes)
        known = {entry.id: entry for entry in list_models()}
        maker = known.get(model)
        mask: Any = read_array(checked, is_flat=is_flat) if isinstance(checked, str) else checked
        if isinstance(mask, Mapping):
            mask = {int(axis) - is_flat: slices for axis, slices in mask.items()}
            # The one slice of a picture is all of it.
            mask = None if -1 in mask else mask
        revision = Store(store).add(
            volume,
            Segmentation(read_array(labels, is_flat=is_flat), volume.affine, table),
            None if prediction is None else Segmentation(read_array(prediction, is_flat=is_flat), volume.affine, table, model=model),
            checked=mask,
            patient_key=patient_key,
            classes=table,
            modality=maker.modality if maker else "",
            confirmed=confirmed,
            seen_in_training=images_seen(maker) if maker else (),
        )
        return {
            "case": revision.name,
            "role": revision.role,
            "dice": revision.dice,
            "voxels_changed": revision.voxels_changed,
            "voxels_checked": revision.voxels_checked,
            "cases": Store(store).count().total(),
        }

    def open(self, *, store: str, case: str, image: str, labels: str, prediction: str) -> Work:
        """Write the arrays of the case CASE/REVISION to files; a picture becomes a volume of one slice, (1, j, i)."""
        yield Progress("Opening the case", 0, 1)
        found = {revision.name: revision for revision in Store(store).revisions()}
        if case not in found:
            raise InputError(f"expected a case of {store}, found no {case}; look at the list again")
        revision = found[case]
        is_flat = len(revision.shape) == 2
        said = revision.prediction()
        arrays = {image: revision.image().array, labels: revision.labels().labels}
        if said is not None:
            arrays[prediction] = said.labels
        for path, array in arrays.items():
            np.save(path, array[np.newaxis] if is_flat else array)
        return {
            "affine": revision.affine.tolist(),
            "channels": revision.channels,
            "has_spacing": revision.has_spacing,
            "is_flat": is_flat,
            "has_prediction": said is not None,
            "model": revision.model,
            "classes": [class_facts(entry) for entry in revision.classes],
        }

    def export(self, *, store: str, folder: str, format: str, dicom_source: str | None = None) -> Work:
        """Write the store's cases for other tools."""
        from ..exports import exporting

        source = Path(dicom_source) if dicom_source else None
        written = yield from exporting(Store(store), folder, format=format, dicom_source=source)
        return {"folder": str(written), "cases": Store(store).count().total()}

    def retrain(self, *, store: str, model: str, arguments: Sequence[str] = ()) -> Work:
        """Retrain in a process of its own; `arguments` are further ones of `ultralight retrain`."""
        from ..child import run_child

        result = yield from run_child(["retrain", store, "--model", model, *arguments])
        return {key: value for key, value in result.items() if key != "event"}

    def use(self, *, name: str, version: str) -> Work:
        """Make a version of a model the one that its name stands for."""
        yield Progress("Choosing the version", 0, 1)
        set_current(name, version)
        return {"model": load_model(name).id}


def _box(ranges: Sequence[Sequence[int]] | None) -> Box | None:
    return None if ranges is None else tuple((start, stop) for start, stop in ranges)
