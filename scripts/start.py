"""Open napari with a sample head, the UltraLight dock open and Segment run once; what `make start` does.

With `--output DIR` it needs no user: it leaves a screenshot of the window and the labels in DIR, says where, and ends.
"""

from __future__ import annotations

import argparse
import logging
import sys
import time
from pathlib import Path
from typing import Any

import napari
from napari.layers import Labels
from napari.utils.notifications import Notification, notification_manager
from qtpy.QtCore import QEventLoop, QTimer

from ultralightunet import ModelError, load_model

PLUGIN = "napari-ultralight"
SAMPLE = "colin27"
MODEL = "brain"
PATIENCE = 300
"""Seconds that Segment may take before an unattended run gives up; it takes a few."""

logger = logging.getLogger("start")


def main() -> int:
    """Run; returns the exit code."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--output", type=Path, metavar="DIR", help="write a screenshot and the labels there and end")
    options = parser.parse_args()
    logging.basicConfig(level=logging.WARNING, format="%(message)s", stream=sys.stderr)
    logger.setLevel(logging.INFO)
    try:
        load_model(MODEL)
    except ModelError as error:
        logger.error("start: %s", error)
        return 1
    if options.output is not None:
        options.output.mkdir(parents=True, exist_ok=True)
        # Nobody is there to look at it, and Ignore would come between: the folder keeps itself out of git.
        (options.output / ".gitignore").write_text("*\n", encoding="utf-8")

    viewer = napari.Viewer(title="UltraLight")
    viewer.window.resize(1560, 960)
    viewer.open_sample(PLUGIN, SAMPLE)
    dock = viewer.window.add_plugin_dock_widget(PLUGIN)[1]
    dock.segment()
    if options.output is None:
        napari.run()
        return 0
    return _unattended(viewer, dock, options.output)


def _unattended(viewer: napari.Viewer, dock: Any, output: Path) -> int:
    """Wait for the labels, write them and a picture of the window."""
    began = time.monotonic()
    while dock.run.is_running and time.monotonic() - began < PATIENCE:
        _let_qt_work(50)
    found = [layer for layer in viewer.layers if isinstance(layer, Labels)]
    if not found:
        said = [notice.message for notice in notification_manager.records if isinstance(notice, Notification)]
        logger.error("start: expected labels, found none after %.0f s (%s)", time.monotonic() - began, "; ".join(said) or dock.run.status)
        viewer.close()
        return 1
    _let_qt_work(1000)  # the table of classes and the canvas are drawn after the layer has arrived
    screenshot, labels = output / "start.png", output / f"{SAMPLE}_{MODEL}.nii.gz"
    viewer.screenshot(str(screenshot), canvas_only=False, flash=False)
    written = found[0].save(str(labels), plugin=PLUGIN)
    logger.info("There is no display, so here is what you would see:")
    logger.info("  screenshot  %s", screenshot.resolve())
    logger.info("  labels      %s", Path(written[0]).resolve())
    logger.info("  %s", dock.run.status)
    viewer.close()
    return 0


def _let_qt_work(milliseconds: int) -> None:
    loop = QEventLoop()
    QTimer.singleShot(milliseconds, loop.quit)
    loop.exec()


if __name__ == "__main__":
    sys.exit(main())
