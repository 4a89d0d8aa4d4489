"""For how long napari's window does not answer while one works on a large scan: `xvfb-run -a python benchmarks/pauses.py`.

A volume of 300x512x512 voxels (int16, 0.8x0.5x0.5 mm) in a real napari window: the sample head, enlarged, with noise around it. It is
segmented by the shipped model `brain`, and its labels are edited, saved, written and removed. Counted is, for each of these, the longest
time for which the window did not answer, how much of it was its thread's own work, and how long it took until all was done. Two
processes that compute all the while stand for other work, unless `--quiet` is given.
"""

from __future__ import annotations

import argparse
import multiprocessing
import os
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
import scipy.ndimage

from measuring import ROOT, options, report  # isort: skip - puts the repository on the path
from results import table  # isort: skip

from ultralightunet.io import read_image  # isort: skip

SHAPE = (300, 512, 512)
SPACING = (0.8, 0.5, 0.5)

Taken = tuple[float, float, float]
"""The longest pause, the most that the window's own thread worked in one, and the whole time, in seconds."""


def main() -> None:
    """Measure, print and write down."""
    found = options(__doc__ or "", repeats=5, add=add_options)
    with tempfile.TemporaryDirectory() as folder:
        # Before napari is imported: the user's own models, stores and settings stay as they are.
        os.environ["ULTRALIGHT_HOME"] = folder
        os.environ["NAPARI_CONFIG"] = str(Path(folder) / "napari.yaml")
        others = [] if found.quiet else [multiprocessing.Process(target=compute_for_ever, daemon=True) for _ in range(2)]
        for other in others:
            other.start()
        try:
            scan = head()
            runs = [session(scan, Path(folder) / str(number)) for number in range(found.repeats)]
        finally:
            for other in others:
                other.kill()
    rows = [
        (
            name,
            *(f"{1000 * max(run[name][n] for run in runs):.0f}" for n in (0, 1)),
            f"{median(run[name][2] for run in runs):.1f}",
            "at most 100",
        )
        for name in runs[0]
    ]
    busy = "nothing else" if found.quiet else "two other processes that compute"
    columns = ("step", "longest pause of the window, ms", "its thread's own work, ms", "until done, s", "wanted of the pause, ms")
    size = "x".join(map(str, SHAPE))
    text = (
        f"A volume of {size} voxels (int16) in napari's window beside {busy}; the longest pause of {found.repeats} sessions, medians of "
        f"the time.\n\n{table(columns, rows)}"
    )
    report("Pauses of the window", text, found)


def add_options(parser: argparse.ArgumentParser) -> None:
    """How busy the machine is."""
    parser.add_argument("--quiet", action="store_true", help="nothing else computes meanwhile")


def compute_for_ever() -> None:
    """What other programs do."""
    array = np.random.default_rng(0).random((300, 300))
    while True:
        array = array @ array
        array /= array.max()


def head() -> np.ndarray:
    """The sample head on the larger grid."""
    scan = read_image(ROOT / "sample_data" / "colin27_t1.nii.gz").array.astype(np.float32)
    factors = [0.95 * n / m for n, m in zip(SHAPE, scan.shape, strict=True)]
    larger = scipy.ndimage.zoom(scan, factors, order=1)
    array = np.random.default_rng(0).normal(40, 15, SHAPE).astype(np.float32)
    array[tuple(slice(0, n) for n in larger.shape)] += 10 * larger
    return np.clip(array, 0, 32767).astype(np.int16)


def session(scan: np.ndarray, folder: Path) -> dict[str, Taken]:
    """One session of work; what each step took, by its name."""
    import napari

    folder.mkdir()
    viewer = napari.Viewer()
    try:
        _, dock = viewer.window.add_plugin_dock_widget("napari-ultralight", "UltraLight")
        viewer.add_image(scan, name="head", scale=SPACING, units="mm")
        until(lambda: dock.model.combo.choices)
        dock.model.combo.value = next(one for one in dock.model.combo.choices if Path(one).name == "brain")
        return steps(viewer, dock, folder)
    finally:
        dock.unsaved.forget(dock.unsaved.layers)
        viewer.close()


def steps(viewer: Any, dock: Any, folder: Path) -> dict[str, Taken]:
    """Segment, correct, save, write and remove."""
    taken: dict[str, Taken] = {}

    def quiet() -> bool:
        return dock.unsaved.is_settled and not dock.table.is_counting

    def step(name: str, start: Callable[[], Any], is_done: Callable[[], Any]) -> None:
        until(quiet)
        # Later work counts to what set it off.
        taken[name] = measured(start, lambda: is_done() and quiet())
        pause, work, whole = taken[name]
        print(f"{name}: {1000 * pause:.0f} ms ({1000 * work:.0f} of work) in {whole:.1f} s", flush=True)

    def labels() -> Any:
        return next(layer for layer in viewer.layers if layer._type_string == "labels")

    def use(tool: str) -> Callable[[], None]:
        return lambda: dock.correct.use(tool)

    def is_free() -> bool:
        return not dock.correct.is_running

    step("Segment, and add the labels", dock.run.segment.native.click, lambda: not dock.run.is_running)
    labels().selected_label = 1
    dock.correct.expand()
    step("a stroke of the brush", lambda: labels().paint((150, 250, 250), 2), lambda: True)
    step("Smooth", use("smooth"), is_free)
    step("Remove islands", use("small"), is_free)
    step("Fill holes", use("holes"), is_free)
    step("Erase", use("erase"), is_free)
    step("Reset", use("prediction"), is_free)
    step("undo of Reset", labels().undo, lambda: True)
    step("undo of Erase", labels().undo, lambda: True)
    step("open Save", dock.save.expand, lambda: "changed" in dock.save.summary.text)
    step("Save correction", dock.save.save.native.click, lambda: not dock.save.is_running)
    step("Save labels…", lambda: dock.save_labels.save_as(folder / "labels.nii.gz"), lambda: not dock.save_labels.is_running)
    labels().paint((150, 250, 250), 1 + int(labels().data[150, 250, 250]) % 2)
    viewer.layers.selection.active = labels()
    step("File > Save", lambda: viewer.layers.save(str(folder / "again.nii.gz"), selected=True, plugin="napari-ultralight"), lambda: True)
    labels().paint((150, 270, 250), 1 + int(labels().data[150, 270, 250]) % 2)
    step("remove unsaved labels", lambda: viewer.layers.remove(labels()), lambda: dock.recovery.offers)
    return taken


def measured(start: Callable[[], Any], is_done: Callable[[], Any], *, timeout: float = 300.0) -> Taken:
    """The longest time between two ticks of a timer of the window, and the most that its thread worked between two, until it is done.

    On a busy machine the first holds what other programs took as well.
    """
    from qtpy.QtCore import Qt, QTimer
    from qtpy.QtWidgets import QApplication

    times: list[tuple[float, float]] = []

    def tick() -> None:
        times.append((time.perf_counter(), time.thread_time()))

    timer = QTimer()
    timer.setTimerType(Qt.TimerType.PreciseTimer)
    timer.timeout.connect(tick)
    timer.start(5)
    tick()
    began = times[0][0]
    start()
    while not is_done() or time.perf_counter() - began < 0.3:
        QApplication.instance().processEvents()
        time.sleep(0.001)
        if time.perf_counter() - began > timeout:
            raise TimeoutError(f"expected an end within {timeout:g} s, found none")
    timer.stop()
    tick()
    pause, work = np.diff(times, axis=0).max(0)
    return float(pause), float(work), times[-1][0] - began


def until(is_so: Callable[[], Any], *, timeout: float = 300.0) -> None:
    """Let the window work until something is so."""
    from qtpy.QtWidgets import QApplication

    began = time.perf_counter()
    while not is_so():
        QApplication.instance().processEvents()
        time.sleep(0.002)
        if time.perf_counter() - began > timeout:
            raise TimeoutError(f"expected an end within {timeout:g} s, found none")


if __name__ == "__main__":
    main()
