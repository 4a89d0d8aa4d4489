"""How long a correction takes to save, and whether one can go on painting: `xvfb-run -a python benchmarks/saving.py`.

A volume of 256x256x256 voxels (int16) in a real napari window: the sample head in its middle, noise all around so that it compresses as a
scan does. It is segmented by the shipped model `brain`, a ball is painted into the labels, and Save correction is clicked in the dock,
with what changed already on display. Counted is the time from the click until the dock says that it is saved, and the longest time in
between for which the window did not answer. The first save of a case stores its image, which is what takes long; later ones do not.
"""

from __future__ import annotations

import os
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np

from measuring import ROOT, options, report  # isort: skip - puts the repository on the path
from results import table  # isort: skip

from ultralightunet.io import read_image  # isort: skip

SIDE = 256
WANTED = "at most 2"

Save = tuple[float, float]
"""Seconds from the click to the end, and the longest pause of the window."""


def main() -> None:
    """Measure, print and write down."""
    found = options(__doc__ or "", repeats=5)
    # Before napari is imported: the user's own models, stores and settings stay as they are.
    with tempfile.TemporaryDirectory() as folder:
        os.environ["ULTRALIGHT_HOME"] = folder
        os.environ["NAPARI_CONFIG"] = str(Path(folder) / "napari.yaml")
        saves = [saved_twice(number) for number in range(found.repeats)]
    rows = [row(name, [case[n] for case in saves]) for n, name in enumerate(("first", "second"))]
    head = ("save of a case", "from click to saved, s", "longest pause of the window, s", "lowest to highest, s", "wanted, s")
    text = f"A volume of {SIDE}x{SIDE}x{SIDE} voxels (int16) in napari's window, medians of {found.repeats} cases.\n\n{table(head, rows)}"
    report("Saving a correction", text, found)


def row(name: str, taken: Sequence[Save]) -> tuple[str, ...]:
    """One line of the table."""
    seconds = [entry[0] for entry in taken]
    medians = [f"{median(values):.2f}" for values in zip(*taken, strict=True)]
    return name, *medians, f"{min(seconds):.2f} to {max(seconds):.2f}", WANTED


def head(number: int) -> np.ndarray:
    """The sample head in a larger grid, with noise that differs from case to case."""
    scan = read_image(ROOT / "sample_data" / "colin27_t1.nii.gz").array.astype(np.float32)
    array = np.random.default_rng(number).normal(60, 15, (SIDE,) * 3).astype(np.float32)
    starts = [(SIDE - n) // 2 for n in scan.shape]
    array[tuple(slice(s, s + n) for s, n in zip(starts, scan.shape, strict=True))] += 10 * scan
    return np.clip(array, 0, 32767).astype(np.int16)


def saved_twice(number: int) -> tuple[Save, Save]:
    """One case from the segmentation to its second revision."""
    import napari
    from qtpy.QtWidgets import QApplication

    viewer = napari.Viewer()
    try:
        _, dock = viewer.window.add_plugin_dock_widget("napari-ultralight", "UltraLight")
        viewer.add_image(head(number), name="head", scale=(1.0, 1.0, 1.0), units="mm")
        until(QApplication, lambda: dock.model.combo.choices)
        dock.model.combo.value = next(folder for folder in dock.model.combo.choices if Path(folder).name == "brain")
        dock.run.segment.native.click()
        until(QApplication, lambda: not dock.run.is_running)
        labels = next(layer for layer in viewer.layers if layer._type_string == "labels")
        dock.save.expand()
        return save(QApplication, dock, labels, 100), save(QApplication, dock, labels, 140)
    finally:
        viewer.close()


def save(application: Any, dock: Any, labels: Any, place: int) -> Save:
    """Paint, wait until what changed is shown, and save."""
    before = dock.save.summary.text
    ball = np.argwhere(sum((axis - 4) ** 2 for axis in np.ogrid[:9, :9, :9]) <= 16) + place
    labels.data_setitem(tuple(ball.T), 1 + int(labels.data[(place + 4,) * 3]) % 2)
    until(application, lambda: dock.save.summary.text != before and "changed" in dock.save.summary.text)
    began = time.perf_counter()
    dock.save.save.native.click()
    # What the click itself does, before it returns, is a pause too.
    pause = until(application, lambda: not dock.save.is_running, since=began)
    seconds = time.perf_counter() - began
    if "Saved" not in dock.save.status:
        raise RuntimeError(f"expected a saved correction, found: {dock.save.status}")
    return seconds, pause


def until(application: Any, there: Callable[[], Any], *, since: float | None = None, timeout: float = 120.0) -> float:
    """Let the window answer until something is so; the longest time for which it did not, counted from `since` or from now."""
    began = time.perf_counter()
    last = began if since is None else since
    longest = began - last
    while not there():
        application.instance().processEvents()
        time.sleep(0.002)
        now = time.perf_counter()
        longest, last = max(longest, now - last), now
        if now - began > timeout:
            raise TimeoutError(f"expected an end within {timeout:g} s, found none")
    return longest


if __name__ == "__main__":
    main()
