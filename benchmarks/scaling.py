"""Time against volume size, step of the windows, classes and threads, as plots: `python benchmarks/scaling.py`."""

from __future__ import annotations

import argparse
import os
import tempfile
from collections.abc import Iterator
from pathlib import Path

from measuring import options, plt, report, save_plot, take_turns  # isort: skip - puts the repository on the path
from results import table
from synthetic import ct, ct_model

import ultralightunet as ulu
from ultralightunet.events import finish
from ultralightunet.volume import Volume

SIDE = (128, 256, 256)
"""Of the volume where something else varies."""

SMALL_SIDE = (64, 128, 128)


def seconds(image: Volume, request: ulu.Request, found: argparse.Namespace) -> float:
    """Median of warm runs."""
    session = ulu.Session()
    return take_turns({"": lambda: finish(session.segment(image, request))}, found.repeats)[""].median


def series(folder: Path, found: argparse.Namespace) -> Iterator[tuple[str, list[float], list[float]]]:
    """What varies, its values, and the seconds at each."""
    model, image = ct_model(folder / "model"), ct(SMALL_SIDE if found.quick else SIDE)
    sizes = [(32, 96, 96), SMALL_SIDE] if found.quick else [(64, 128, 128), (96, 192, 192), SIDE, (160, 320, 320)]
    volumes = [ct(shape) for shape in sizes]
    request = ulu.Request(model, threads=found.threads)
    yield "million voxels", [v.array.size / 1e6 for v in volumes], [seconds(v, request, found) for v in volumes]
    steps = [1.0, 0.75, 0.5, 0.35]
    yield "step of the windows", steps, [seconds(image, ulu.Request(model, threads=found.threads, step=s), found) for s in steps]
    classes = [2, 4, 14, 40]
    models = [ct_model(folder / f"model{n}", classes=n) for n in classes]
    yield "classes", [float(n) for n in classes], [seconds(image, ulu.Request(m, threads=found.threads), found) for m in models]
    threads = range(1, (os.cpu_count() or 1) + 1)
    yield "threads", [float(n) for n in threads], [seconds(image, ulu.Request(model, threads=n), found) for n in threads]


def main() -> None:
    found = options(__doc__ or "", repeats=5)
    figure, plots = plt.subplots(1, 4, figsize=(14, 3.4), layout="constrained")
    rows = []
    with tempfile.TemporaryDirectory() as folder:
        for axes, (name, values, times) in zip(plots, series(Path(folder), found), strict=True):
            axes.plot(values, times, marker="o", color="#30618c")
            axes.set(xlabel=name, ylabel="seconds", ylim=(0, None))
            rows.append((name, "; ".join(f"{v:g}: {t:.2f} s" for v, t in zip(values, times, strict=True))))
    picture = save_plot(figure, "scaling.png", found)
    what = f"Width S with 14 classes at 1.5 mm on a synthetic CT of {'x'.join(map(str, SIDE))}, warm, medians of {found.repeats} runs."
    report("Scaling", "\n\n".join((what, picture, table(("against", "seconds"), rows))), found)


if __name__ == "__main__":
    main()
