"""Make the pictures of docs/pointing.md: real clicks on the tumour of a sample head and on its preview, as a picture and as an animation.

xvfb-run -a -s "-screen 0 1366x768x24 +extension GLX" python scripts/pointing_pictures.py docs/images
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
from pathlib import Path
from typing import Any

import napari
import numpy as np
from PIL import Image
from qtpy.QtCore import QPoint, Qt
from qtpy.QtTest import QTest
from scipy import ndimage
from screenshots import PLUGIN, Tour

from napari_ultralight.layers.placing import grid_of
from napari_ultralight.prompt.canvas import PREVIEW, Tool
from ultralightunet.io import read_labels

SAMPLE = "tumour_mri_1"
WIDTH = 960
"""Of the animation, in pixels."""


def main() -> int:
    """Run; returns the exit code."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path, help="where the pictures go")
    options = parser.parse_args()
    options.folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="ultralight-") as home:
        os.environ["ULTRALIGHT_HOME"] = home
        viewer = napari.Viewer(title="UltraLight")
        viewer.window.resize(1366, 768)
        try:
            Pointer(viewer, options.folder).run()
        finally:
            viewer.layers.clear()
            viewer.close()
    return 0


class Pointer(Tour):
    """Points at a tumour: what is found, what is mended, and the labels in the end."""

    def run(self) -> None:  # type: ignore[override]
        """The whole tour."""
        frames: list[Image.Image] = []
        self.viewer.open_sample(PLUGIN, SAMPLE)
        self.dock = self.viewer.window.add_plugin_dock_widget(PLUGIN)[1]
        self.dock.segmenting.fold()
        self.dock.point.expand()
        self.dock.point.tools[Tool.ADD].click()
        self.wait_until(lambda: not self.dock.point.pointing.is_busy)
        truth = self.tumour()
        number = int(truth.sum((1, 2)).argmax())
        self.viewer.dims.set_current_step(0, number)
        self.settle()
        frames.append(self.frame())
        for _ in range(4):
            shown = np.asarray(self.viewer.layers[PREVIEW].data)[number] == 1
            place = _middle(truth[number] != shown)
            tool = Tool.ADD if truth[number][place] else Tool.REMOVE
            if tool is not self.dock.point.pointing.tool:
                self.dock.point.tools[tool].click()
            self.click((number, *place))
            self.wait_until(lambda: not self.dock.point.pointing.is_busy)
            self.settle(600)
            frames.append(self.frame())
        self.dock.point.take.native.click()
        self.settle()
        frames.append(self.frame())
        frames[0].save(self.folder / "pointing.webp", save_all=True, append_images=frames[1:], duration=1200, loop=0, quality=80)

    def tumour(self) -> np.ndarray:
        """The tumour as the sample's author outlined it, turned as the image is shown: clicks go where the preview differs from it."""
        image = self.dock.image.layer
        return grid_of(image).to_shown(read_labels(Path("sample_data") / f"{SAMPLE}_tumour.nrrd").labels > 0)

    def click(self, voxel: tuple[int, ...]) -> None:
        """A click of the mouse on a voxel of the preview."""
        world = self.viewer.layers[PREVIEW].data_to_world(voxel)
        canvas = self.viewer.window._qt_viewer.canvas
        shown = [world[axis] for axis in self.viewer.dims.displayed]
        x, y = canvas.view.scene.transform.map([shown[1], shown[0], 0, 1])[:2]
        place = QPoint(round(float(x)), round(float(y)))
        QTest.mouseClick(canvas.native, Qt.MouseButton.LeftButton, Qt.KeyboardModifier.NoModifier, place)

    def frame(self) -> Image.Image:
        """The whole window as it is now."""
        picture = Image.fromarray(self.viewer.screenshot(canvas_only=False, flash=False)).convert("RGB")
        return picture.resize((WIDTH, round(WIDTH * picture.height / picture.width)))


def _middle(wrong: np.ndarray) -> tuple[Any, ...]:
    """The pixel that is furthest from what is right."""
    depth = ndimage.distance_transform_edt(wrong)
    return tuple(int(n) for n in np.unravel_index(int(depth.argmax()), depth.shape))


if __name__ == "__main__":
    sys.exit(main())
