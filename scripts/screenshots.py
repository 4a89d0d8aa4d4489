"""Make the pictures of docs/correcting.md: napari with the Colin27 head, taken through correcting, saving and retraining.

    xvfb-run -a -s "-screen 0 1366x768x24 +extension GLX" python scripts/screenshots.py docs/images/correcting

Everything in the pictures is real: the labels are the shipped model's, the retraining runs (for --minutes), the figures are measured.
Models and corrections go to a throw-away folder.
"""

from __future__ import annotations

import argparse
import logging
import os
import shutil
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import napari
import numpy as np
from napari.layers import Labels
from qtpy.QtCore import QEventLoop, QTimer
from qtpy.QtWidgets import QApplication

from ultralightunet.corrections import Store, default_store
from ultralightunet.models import LabelClass

PLUGIN = "napari-ultralight"
PATIENCE = 900
"""Seconds that one step may take."""

logger = logging.getLogger("screenshots")


def main() -> int:
    """Run; returns the exit code."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path, help="where the pictures go")
    parser.add_argument("--size", type=_size, default=(1366, 768), metavar="WxH", help="of the window (default: 1366x768)")
    parser.add_argument("--minutes", type=float, default=1.0, help="of training (default: 1)")
    options = parser.parse_args()
    logging.basicConfig(level=logging.WARNING, format="%(message)s", stream=sys.stderr)
    options.folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="ultralight-") as home:
        os.environ["ULTRALIGHT_HOME"] = home
        viewer = napari.Viewer(title="UltraLight")
        viewer.window.resize(*options.size)
        try:
            Tour(viewer, options.folder).run(options.minutes)
        finally:
            # Asked by nobody, so nothing may stand in the way.
            viewer.layers.clear()
            viewer.close()
    return 0


class Tour:
    """Goes through the dock as a clinician does, and takes a picture at each stop."""

    def __init__(self, viewer: napari.Viewer, folder: Path) -> None:
        self.viewer = viewer
        self.folder = folder
        self.dock: Any = None

    def run(self, minutes: float) -> None:
        """All stops."""
        self.segment()
        labels = self.correct()
        self.save(labels)
        self.new_class(labels)
        self.retrain(minutes)

    def segment(self) -> None:
        """A head, and what the model finds."""
        self.viewer.open_sample(PLUGIN, "colin27")
        self.dock = self.viewer.window.add_plugin_dock_widget(PLUGIN)[1]
        self.dock.segment()
        self.wait_until(lambda: not self.dock.run.is_running)
        self.settle()

    def correct(self) -> Any:
        """A part is wiped away in some slices and filled again between them; the outline is smoothed."""
        labels = next(layer for layer in self.viewer.layers if isinstance(layer, Labels))
        labels.selected_label = 1
        middle = labels.data.shape[0] // 2
        self.viewer.dims.set_current_step(0, middle)
        gap = labels.data[middle - 6 : middle + 7].copy()
        gap[gap == 1] = 0
        changed = np.nonzero(gap != labels.data[middle - 6 : middle + 7])
        labels.data_setitem((changed[0] + middle - 6, *changed[1:]), 0)
        self.dock.segmenting.fold()
        self.dock.correct.expand()
        self.dock.correct.use("between")
        self.wait_until(lambda: not self.dock.correct.is_running)
        labels.mode = "paint"
        self.settle()
        self.take("correct")
        return labels

    def save(self, labels: Any) -> None:
        """What changed is shown, and the correction is saved."""
        self.dock.save.expand()
        self.settle()
        self.take("save")
        store = Store(default_store("brain"))
        while True:
            self.dock.save.save_correction()
            self.wait_until(lambda: not self.dock.save.is_running)
            if store.cases("train"):
                break
            # Drawn to be held out, as one in five is: there would be nothing to learn from.
            shutil.rmtree(store.folder)

    def new_class(self, labels: Any) -> None:
        """A class is added, painted on a few slices, and filled between them."""
        self.dock.table.add_class(LabelClass(3, "lesion", (220, 60, 200)))
        k, j, i = (n // 2 for n in labels.data.shape)
        for slice_ in (k - 4, k, k + 4):
            labels.brush_size = 15
            labels.paint((slice_, j, i - 30), 3)
        self.viewer.dims.set_current_step(0, k)
        self.dock.correct.expand()
        self.dock.correct.use("between")
        self.wait_until(lambda: not self.dock.correct.is_running)
        self.settle()
        self.take("new-class")
        self.dock.save.expand()
        self.dock.save.save_correction()
        self.wait_until(lambda: not self.dock.save.is_running)

    def retrain(self, minutes: float) -> None:
        """The model learns; its versions are listed."""
        self.dock.improve.expand()
        self.dock.improve.minutes.value = minutes
        self.when_asked()
        self.dock.improve.retrain.native.click()
        self.wait_until(lambda: len(self.dock.improve.curve.losses) > 3 or not self.dock.improve.is_running)
        self.settle(1500)
        self.take("retrain")
        self.wait_until(lambda: not self.dock.improve.is_running)
        self.dock.improve.versions.select(1)
        self.settle()
        self.take("versions")

    def when_asked(self) -> None:
        """Say yes to the question that comes with few cases."""
        asking = QTimer(self.dock)

        def answer() -> None:
            box = QApplication.activeModalWidget()
            if box is None:
                return
            asking.stop()
            box.buttons()[0].click()

        asking.timeout.connect(answer)
        asking.start(300)

    def wait_until(self, is_done: Callable[[], bool]) -> None:
        """Let Qt work meanwhile."""
        began = time.monotonic()
        while not is_done():
            if time.monotonic() - began > PATIENCE:
                raise TimeoutError(
                    "expected a step of the tour to end, found that it goes on; look at the dock's words in the last picture"
                )
            self.settle(50)

    def settle(self, milliseconds: int = 2500) -> None:
        """Until tables and canvas are drawn."""
        loop = QEventLoop()
        QTimer.singleShot(milliseconds, loop.quit)
        loop.exec()

    def take(self, name: str) -> None:
        """A picture of the whole window."""
        self.viewer.screenshot(str(self.folder / f"{name}.png"), canvas_only=False, flash=False)


def _size(text: str) -> tuple[int, int]:
    width, _, height = text.partition("x")
    return int(width), int(height)


if __name__ == "__main__":
    sys.exit(main())
