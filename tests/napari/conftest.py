"""A viewer with the dock in it, and a small model with random weights for it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from napari.layers import Labels, Layer
from napari.utils.notifications import notification_manager
from npe2 import PluginManager, PluginManifest
from qtpy.QtCore import QTimer
from qtpy.QtWidgets import QApplication, QMessageBox

from napari_ultralight.correct import counting
from napari_ultralight.drafts import unsaved
from napari_ultralight.layers import active_labels
from napari_ultralight.layers.conversion import Picture
from tests.io_files import write_nii
from tests.small_models import small_model
from tests.waiting import PATIENCE, Gate
from ultralightunet.corrections import Store, default_store
from ultralightunet.models import Intensity, load_model
from ultralightunet.volume import Segmentation

PLUGIN = "napari-ultralight"


@pytest.fixture(autouse=True)
def plugin(root: Path) -> PluginManager:
    """The plugin as the checkout has it, whether or not it is installed."""
    manager = PluginManager.instance()
    manager.discover()
    if PLUGIN not in manager:
        manager.register(PluginManifest.from_file(root / "napari.yaml"))
    return manager


@pytest.fixture(autouse=True)
def short_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is done once painting rests is done sooner: no hand moves here."""
    for module in (active_labels, counting, unsaved):
        monkeypatch.setattr(module, "PAUSE_MS", 20)


@pytest.fixture
def models(ultralight_home: Path) -> Path:
    """The user's model folder with a small 3D model, "small", and a 2D one, "flat", and one for colour, "colour"."""
    folder = ultralight_home / "models"
    small_model(folder / "small" / "1.0.0", seed=3, intended_use="Tests only.")
    small_model(folder / "flat" / "1.0.0", seed=3, spatial_dims=2, name="flat")
    channels = Intensity("scale", mean=(0.5,) * 3, std=(0.25,) * 3)
    small_model(folder / "colour" / "1.0.0", seed=3, spatial_dims=2, in_channels=3, name="colour", intensity=channels)
    return folder


@pytest.fixture
def open_dock(make_napari_viewer: Callable[..., Any], models: Path) -> Callable[..., tuple[Any, Any]]:
    """Opens a viewer with the dock: (viewer, dock); with `show=True` its window is on the screen."""

    def open_one(*, show: bool = False) -> tuple[Any, Any]:
        viewer = make_napari_viewer(show=show)
        _, dock = viewer.window.add_plugin_dock_widget(PLUGIN, "UltraLight")
        choose_model(dock, "small")
        return viewer, dock

    notification_manager.records.clear()
    return open_one


def choose_model(dock: Any, name: str) -> None:
    """Choose an installed model by its name."""
    dock.model.combo.value = next(folder for folder in dock.model.combo.choices if Path(folder).parent.name == name)


def until(qtbot: Any, condition: Callable[[], Any]) -> None:
    """Let the window live until something is so."""
    qtbot.waitUntil(lambda: bool(condition()), timeout=1000 * PATIENCE)


@pytest.fixture
def gate(monkeypatch: pytest.MonkeyPatch) -> Iterator[Gate]:
    """Holds up work on another thread, and lets it go at the test's end."""
    gate = Gate(monkeypatch)
    yield gate
    gate.open()


def assert_alive(qtbot: Any, is_running: Callable[[], bool]) -> None:
    """The window answers what happens in it while other work is under way, rather than after it."""
    seen: list[bool] = []
    QTimer.singleShot(0, lambda: seen.append(is_running()))
    until(qtbot, lambda: seen)
    assert seen == [True]


def click_segment(dock: Any, qtbot: Any) -> None:
    """Click Segment and wait until all is over, whatever came of it."""
    dock.run.segment.native.click()
    until(qtbot, lambda: not dock.run.is_running)


def messages() -> list[str]:
    """What napari has told the user in this test."""
    return [record.message for record in notification_manager.records]


def grey(shape: tuple[int, ...] = (24, 40, 36), seed: int = 0) -> np.ndarray:
    """Grey noise with a bright ball in its middle."""
    distance = sum((axis - n / 2) ** 2 for axis, n in zip(np.ogrid[tuple(slice(0, n) for n in shape)], shape, strict=True))
    noise = np.random.default_rng(seed).normal(0, 10, shape)
    return (noise + 100 + 400 * (distance < (min(shape) / 3) ** 2)).astype(np.float32)


def labels_in(viewer: Any) -> list[Labels]:
    """The viewer's labels layers, oldest first."""
    return [layer for layer in viewer.layers if isinstance(layer, Labels)]


def amounts(dock: Any) -> dict[int, str]:
    """What the table says of each label."""
    return {label: amount for label, _, amount in dock.table.rows()}


def add_labels(viewer: Any, labels: np.ndarray, *, model: str = "small", **placing: Any) -> Labels:
    """An image, and on it labels as if a model of three classes had just made them."""
    image = viewer.add_image(grey(labels.shape), name="scan", **placing)
    picture = Picture.of(image)
    found = load_model(model)
    made = Segmentation(picture.grid.to_native(labels).copy(), picture.grid.affine, found.classes, picture.grid.has_spacing, model=found.id)
    layer = viewer.add_layer(Layer.create(*picture.labels_layer(made, name=f"scan - {model}")))
    viewer.layers.selection.active = layer
    layer.selected_label = 1
    return layer


def blobs(shape: tuple[int, ...] = (24, 40, 36)) -> np.ndarray:
    """Two balls of classes 1 and 2, a hole in the first, a speck, and a slice that is missing."""
    labels = np.zeros(shape, np.uint8)
    axes = np.ogrid[tuple(slice(0, n) for n in shape)]
    for label, share in ((1, 0.35), (2, 0.7)):
        distance = sum((axis - n * (0.5 if k == 0 else share)) ** 2 for k, (axis, n) in enumerate(zip(axes, shape, strict=True)))
        labels[distance < (min(shape) / 3.5) ** 2] = label
    middle = tuple(round(n * (0.5 if k == 0 else 0.35)) for k, n in enumerate(shape))
    labels[middle] = 0
    labels[(0,) * len(shape)] = 1
    if len(shape) == 3:
        labels[middle[0] + 2] = 0
    return labels


CORNERS = np.array([[10, 8, 6], [10, 8, 26], [10, 30, 26], [10, 30, 6]], float)
"""A rectangle on slice 10."""


def open_head(viewer: Any, tmp_path: Path) -> Any:
    """The image layer of a file whose axes run the other way than the shown ones."""
    path = write_nii(tmp_path / "head.nii.gz", grey(), np.diag([-1.0, 1.0, 2.0, 1.0]))
    (image,) = viewer.open(str(path), plugin=PLUGIN)
    return image


def draw_box(dock: Any, corners: np.ndarray = CORNERS, *, slices: tuple[int, int] = (5, 14)) -> None:
    """Draw a box and choose its slices."""
    dock.scope.draw.native.click()
    dock.scope._shapes.add_rectangles(corners)
    dock.scope.first.value, dock.scope.last.value = slices


def save_correction(dock: Any, qtbot: Any) -> Any:
    """Save the labels in use; the revision."""
    dock.save.expand()
    dock.save.save.native.click()
    until(qtbot, lambda: not dock.save.is_running)
    return Store(default_store(dock.save.model_name)).cases()[0]


def answer(button: str) -> list[str]:
    """Let the next question be answered by its button of that name; what was asked appears in the list."""
    asked: list[str] = []
    timer = QTimer()

    def look() -> None:
        box = QApplication.activeModalWidget()
        if isinstance(box, QMessageBox):
            timer.stop()
            asked.append(box.text())
            next(b for b in box.buttons() if b.text() == button).click()

    timer.timeout.connect(look)
    timer.start(20)
    asked_by.append(timer)
    return asked


asked_by: list[QTimer] = []
"""Timers that wait for a question; a test's end stops them."""


@pytest.fixture(autouse=True)
def no_one_waits_for_questions() -> Iterator[None]:
    """Stops what `answer` started."""
    yield
    for timer in asked_by:
        timer.stop()
    asked_by.clear()
