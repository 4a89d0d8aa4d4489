"""What the warm process (`server`) can be asked for; each task is a generator of events that ends in JSON-serialisable facts."""

from __future__ import annotations

from collections.abc import Generator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..corrections import Store, default_store
from ..errors import InputError
from ..events import Epoch, Progress
from ..home import home
from ..inference.session import Request, Session
from ..models import LabelClass, Model, images_seen, install_model, list_models, load_model, set_current, versions
from ..volume import Segmentation, Volume

Facts = dict[str, Any]
Work = Generator[Progress | Epoch | Facts, None, Facts]


class Tasks:
    """Knows the tasks by the names under which they are asked for, and keeps the engine of the model last used."""

    def __init__(self) -> None:
        self._session = Session()

    def begin(self, request: Facts) -> Work:
        """The work of a request, not yet begun.

        Raises:
            InputError: if nothing of that name can be done.
        """
        name = request["do"]
        if name not in self._by_name():
            raise InputError(f"expected a task {', '.join(self._by_name())}, found {name!r}; update UltraLight on both sides")
        arguments = {key: value for key, value in request.items() if key not in ("id", "do")}
        work: Work = self._by_name()[name](**arguments)
        return work

    def _by_name(self) -> dict[str, Any]:
        return {
            "models": self.models,
            "install": self.install,
            "segment": self.segment,
            "store": self.store,
            "save": self.save,
            "export": self.export,
            "retrain": self.retrain,
            "use": self.use,
        }

    def models(self) -> Work:
        """Every model, and where the user's are kept."""
        yield Progress("Listing models", 0, 1)
        found = list_models()
        current = {name: load_model(name).id for name in {model.name for model in found}}
        return {"models": [{**_model_facts(model), "is_current": current[model.name] == model.id} for model in found], "home": str(home())}

    def install(self, *, folder: str) -> Work:
        """Copy a model folder to the user's models."""
        yield Progress("Installing", 0, 1)
        return _model_facts(install_model(Path(folder)))

    def segment(self, *, model: str, image: str, affine: Sequence[Sequence[float]], labels: str, channels: int = 1, **options: Any) -> Work:
        """Label the array in the file `image` and write the labels to the file `labels`; `options` are those of `Request`."""
        volume = _volume(image, affine, channels)
        box = options.pop("box", None)
        request = Request(load_model(model), box=None if box is None else tuple((a, b) for a, b in box), **options)
        segmentation = yield from self._session.segment(volume, request)
        np.save(labels, segmentation.labels)
        return {
            "model": segmentation.model,
            "classes": [_class_facts(entry) for entry in segmentation.classes],
            "facts": dict(segmentation.facts),
            "volumes_ml": segmentation.volumes_ml(),
        }

    def store(self, *, model: str, folder: str = "") -> Work:
        """What a store holds, by default that of the model; and the versions of the model."""
        yield Progress("Looking into the store", 0, 1)
        name = model.partition("@")[0]
        place = Path(folder) if folder else default_store(name)
        store = Store(place)
        cases = store.cases() if store.exists else []
        return {
            "store": str(place),
            "cases": len(cases),
            "holdout": sum(case.role == "holdout" for case in cases),
            "newer": store.newer,
            "classes": [_class_facts(entry) for entry in store.classes] if cases else [],
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
    ) -> Work:
        """Save a correction; `checked` is the file of a mask, or slices by array axis, or None for everything."""
        yield Progress("Saving the correction", 0, 1)
        volume = _volume(image, affine, channels)
        table = tuple(LabelClass(int(c["index"]), str(c["name"]), tuple(c["color"]), str(c["snomed"])) for c in classes)
        known = {entry.id: entry for entry in list_models()}
        maker = known.get(model)
        mask: Any = _array(checked) if isinstance(checked, str) else checked
        revision = Store(store).add(
            volume,
            Segmentation(_array(labels), volume.affine, table),
            None if prediction is None else Segmentation(_array(prediction), volume.affine, table, model=model),
            checked={int(axis): slices for axis, slices in mask.items()} if isinstance(mask, dict) else mask,
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
            "cases": len(Store(store).cases()),
        }

    def export(self, *, store: str, folder: str, format: str, dicom_source: str | None = None) -> Work:
        """Write the store's cases for other tools."""
        from ..exports import exporting

        source = Path(dicom_source) if dicom_source else None
        written = yield from exporting(Store(store), folder, format=format, dicom_source=source)
        return {"folder": str(written), "cases": len(Store(store).cases())}

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


def _volume(image: str, affine: Sequence[Sequence[float]], channels: int) -> Volume:
    return Volume(_array(image), np.array(affine, np.float64), channels)


def _array(path: str) -> NDArray[Any]:
    array: NDArray[Any] = np.load(path, allow_pickle=False)
    return array


def _model_facts(model: Model) -> Facts:
    return {
        "id": model.id,
        "name": model.name,
        "version": model.version,
        "title": model.title,
        "modality": model.modality,
        "spatial_dims": model.spatial_dims,
        "channels": model.architecture.in_channels,
        "classes": [_class_facts(entry) for entry in model.classes],
        "licence": model.licence,
        "intended_use": model.intended_use,
        "parent": model.parent,
        "folder": str(model.folder),
    }


def _class_facts(entry: LabelClass) -> Facts:
    from ..exports.terminology import terminology

    return {
        "index": entry.index,
        "name": entry.name,
        "color": list(entry.color),
        "snomed": entry.snomed,
        "terminology": terminology(entry) if entry.index else "",
    }
