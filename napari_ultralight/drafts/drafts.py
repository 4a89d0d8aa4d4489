"""Labels that are not saved yet, kept on disk so that no crash takes them. Touches no Qt.

Each open dock has a folder of its own under `home()/autosave`, locked as long as its process lives: a folder that is not locked is what a
crash left behind. A draft tells which image it belongs to, so it stays where only the user can read it, and goes once it is saved.
"""

# mypy: disable-error-code="import-untyped"

from __future__ import annotations

import io
import json
import secrets
import shutil
from collections.abc import Iterator, Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from ultralightunet.corrections.locking import only_writer
from ultralightunet.disk import replace_durably
from ultralightunet.errors import OutputError
from ultralightunet.home import home

from ..layers.facts import class_colors, classes_of
from ..layers.grid import KEY, LayerData
from ..layers.packed import pack, unpack

SUFFIX = ".draft"
_LOCK = ".lock"
_PLACING = ("scale", "translate", "affine", "units", "axis_labels")


@dataclass(frozen=True, eq=False)
class Draft:
    """A Labels layer as it was at some time.

    Attributes:
        name: of the layer.
        data: its labels.
        metadata: of the layer; only what this plugin keeps there.
        placing: where the layer lies in napari's world.
        key: of the layer, "" for one that is gone.
    """

    name: str
    data: Any
    metadata: Mapping[str, Any]
    placing: Mapping[str, Any]
    key: str = ""

    @classmethod
    def of(cls, layer: Any) -> Draft:
        """What a layer holds; `data` is the layer's own."""
        placing = {
            "scale": [float(value) for value in layer.scale],
            "translate": [float(value) for value in layer.translate],
            "affine": np.asarray(layer.affine.affine_matrix).tolist(),
            "units": [str(unit) for unit in layer.units],
            "axis_labels": list(layer.axis_labels),
        }
        return cls(layer.name, layer.data, dict(layer.metadata.get(KEY, {})), placing, str(layer.unique_id))

    def layer(self) -> LayerData:
        """A Labels layer like the one that it was made from."""
        classes = classes_of(self.metadata)
        arguments: dict[str, Any] = {"name": self.name, "metadata": {KEY: dict(self.metadata)}, "opacity": 0.6, **self.placing}
        if classes:
            arguments["colormap"] = class_colors(classes)
            arguments["features"] = {"index": [c.index for c in classes], "class": [c.name for c in classes]}
        return np.array(self.data), arguments, "labels"

    @property
    def image_path(self) -> Path | None:
        """The file of the image, where it is known."""
        path = (self.metadata.get("source") or {}).get("path")
        return Path(path) if path else None

    def to_bytes(self) -> bytes:
        """As a file: facts, and labels in a few bytes."""
        blobs = {"labels": pack(self.data)}
        if "prediction" in self.metadata:
            blobs["prediction"] = self.metadata["prediction"]
        facts = {
            "name": self.name,
            "metadata": {key: value for key, value in self.metadata.items() if key != "prediction"},
            "placing": dict(self.placing),
            "blobs": {key: {"shape": blob["shape"], "dtype": blob["dtype"]} for key, blob in blobs.items()},
        }
        file = io.BytesIO()
        arrays = {key: np.frombuffer(blob["blob"], np.uint8) for key, blob in blobs.items()}
        np.savez(file, facts=np.frombuffer(json.dumps(facts, default=_plain).encode(), np.uint8), **arrays)  # type: ignore[arg-type]
        return file.getvalue()

    @classmethod
    def from_bytes(cls, content: bytes) -> Draft:
        """The reverse of `to_bytes`.

        Raises:
            OSError, LookupError, ValueError: for anything else.
        """
        with np.load(io.BytesIO(content), allow_pickle=False) as arrays:
            facts = json.loads(arrays["facts"].tobytes())
            blobs = {key: {**blob, "blob": arrays[key].tobytes()} for key, blob in facts["blobs"].items()}
        metadata = facts["metadata"]
        if "prediction" in blobs:
            metadata["prediction"] = blobs["prediction"]
        return cls(facts["name"], unpack(blobs["labels"]), metadata, {key: facts["placing"][key] for key in _PLACING})


class DraftFolder:
    """The drafts of one dock, and those that others left behind.

    Attributes:
        folder: made when the first draft is written.
    """

    def __init__(self) -> None:
        self.folder = _root() / secrets.token_hex(8)
        self._lock = ExitStack()
        self._is_locked = False

    def path_of(self, key: str) -> Path:
        """Where the draft of a layer lies, by the layer's key."""
        return self.folder / f"{key}{SUFFIX}"

    def write(self, draft: Draft) -> None:
        """Keep a draft, in place of an earlier one of that layer; at no moment is there none.

        Raises:
            OSError: if it cannot be written.
        """
        self._open()
        replace_durably(self.path_of(draft.key), draft.to_bytes())

    def remove(self, key: str) -> None:
        """Drop a draft, if there is one."""
        self.path_of(key).unlink(missing_ok=True)

    def keep(self, path: Path, key: str) -> None:
        """Take over a draft that was left behind."""
        self._open()
        path.replace(self.path_of(key))

    def left_behind(self) -> Iterator[Path]:
        """Drafts of docks that are gone, the latest first."""
        found = []
        for folder in _root().glob("*"):
            if folder == self.folder or not folder.is_dir():
                continue
            drafts = list(folder.glob(f"*{SUFFIX}"))
            try:
                with only_writer(folder / _LOCK, wait=0):
                    found += drafts
            except (OSError, OutputError):
                # Its dock is open in another window, or it cannot be read.
                continue
            if not drafts:
                shutil.rmtree(folder, ignore_errors=True)
        yield from sorted(found, key=lambda path: path.stat().st_mtime, reverse=True)

    def close(self) -> None:
        """Let go: what is in it now counts as left behind."""
        self._lock.close()
        self._is_locked = False
        if self.folder.is_dir() and not any(self.folder.glob(f"*{SUFFIX}")):
            shutil.rmtree(self.folder, ignore_errors=True)

    def _open(self) -> None:
        if not self._is_locked:
            self.folder.mkdir(parents=True, exist_ok=True, mode=0o700)
            self._lock.enter_context(only_writer(self.folder / _LOCK, wait=0))
            self._is_locked = True


def read_draft(path: Path) -> Draft | None:
    """A draft that was left behind, None if it is damaged."""
    try:
        return Draft.from_bytes(path.read_bytes())
    except (OSError, LookupError, ValueError):
        return None


def _root() -> Path:
    return home() / "autosave"


def _plain(value: Any) -> Any:
    if isinstance(value, np.ndarray | np.generic):
        return value.tolist()
    return str(value)
