"""How quick a large store of corrections is: `python benchmarks/store.py`.

A store grows to some thousand cases, each a volume of 32x32x32 voxels, so that what is counted is the store's own work and not that of
packing an image. At several sizes it is measured how long it takes to add a further case, to list all of them, and to count them, which the
dock asks for; whoever asks knows nothing yet of the store. At the end the store is exported for nnU-Net, in turns with a plain copy of the
same files that is seen through to the disk as well.
"""

from __future__ import annotations

import argparse
import os
import shutil
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np

from measuring import options, report, take_turns  # isort: skip - puts the repository on the path
from results import table  # isort: skip

from ultralightunet import LabelClass, Segmentation, Volume  # isort: skip
from ultralightunet.corrections import Store  # isort: skip
from ultralightunet.disk import sync_files  # isort: skip
from ultralightunet.exports import export  # isort: skip

SIDE = 32
CLASSES = (LabelClass(0, "background"), LabelClass(1, "liver", (200, 80, 60), "10200004"), LabelClass(2, "tumour", (90, 200, 60)))
WANTED = 0.1


def main() -> None:
    """Fill, measure, print and write down."""
    found = options(__doc__ or "", add=_add_options)
    sizes = [10, 30] if found.quick else sorted({min(size, found.cases) for size in (100, 1000, found.cases)})
    with tempfile.TemporaryDirectory(dir=found.folder) as place:
        store, rows, done = Path(place) / "store", [], 0
        for size in sizes:
            while done < size:
                done += 1
                add(store, done)
            rows.append((size, *measured(store, found.repeats, first=done)))
            done += found.repeats
        exported = take_turns({"copy": lambda: copy(store, place), "export": lambda: write(store, place)}, max(1, found.repeats // 2))
        megabytes = sum(path.stat().st_size for path in (store / "cases").rglob("*.nii.gz")) / 1e6
        cases = sum(Store(store).count().values())
    head = ("cases", "add one, s", "of it this process, s", "list all, s", "count, s")
    shown = [(size, *(f"{value:.3f}" for value in times)) for size, *times in rows]
    seconds = {name: times.median for name, times in exported.items()}
    about = f"Volumes of {SIDE}x{SIDE}x{SIDE} voxels (int16), every third checked in part; medians of {found.repeats}."
    export_said = (
        f"Export of {cases} cases ({megabytes:.0f} MB) for nnU-Net: {seconds['export']:.1f} s; "
        f"a plain copy of the same files, seen through to the disk: {seconds['copy']:.1f} s."
    )
    text = f"{about} Wanted to add one: {WANTED} s.\n\n{table(head, shown)}\n\n{export_said}"
    report("A large store", text, found)


def _add_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--cases", type=int, default=3000, help="of the largest store (default: 3000)")
    parser.add_argument("--folder", type=Path, help="on the disk to be measured (default: that of temporary files)")


def add(folder: Path, seed: int) -> None:
    """Add a case, each with a place in space of its own, as scans have; every third is checked in part."""
    random = np.random.default_rng(seed)
    affine = np.diag((*random.uniform(0.5, 2, 3), 1.0))
    affine[:3, 3] = random.uniform(-100, 100, 3)
    image = Volume(random.integers(0, 900, (SIDE,) * 3).astype(np.int16), affine)
    labels = Segmentation((image.array // 300).astype(np.uint8), affine, CLASSES)
    Store(folder).add(image, labels, None, checked={0: range(10)} if seed % 3 == 0 else None, modality="CT")


def measured(folder: Path, repeats: int, *, first: int) -> tuple[float, ...]:
    """Medians of the seconds to add a case (by the clock and of the processor), to list all and to count them."""
    adding = [timed(lambda seed=seed: add(folder, seed)) for seed in range(first + 1, first + 1 + repeats)]
    listing = [timed(lambda: Store(folder).cases())[0] for _ in range(repeats)]
    counting = [timed(lambda: Store(folder).count())[0] for _ in range(repeats)]
    wall, cpu = zip(*adding, strict=True)
    return tuple(map(statistics.median, (wall, cpu, listing, counting)))


def timed(work: Callable[[], object]) -> tuple[float, float]:
    """Seconds by the clock, and of this process."""
    wall, cpu = time.perf_counter(), time.process_time()
    work()
    return time.perf_counter() - wall, time.process_time() - cpu


def copy(store: Path, place: str) -> None:
    """Images and labels, as they are."""
    target = Path(place) / "copied"
    target.mkdir()
    for path in (store / "cases").rglob("*.nii.gz"):
        if path.name.startswith(("image", "labels")):
            shutil.copyfile(path, target / f"{path.parent.parent.name}-{path.parent.name}-{path.name}")
    sync_files(target)
    shutil.rmtree(target)


def write(store: Path, place: str) -> None:
    """Export for nnU-Net."""
    target = Path(place) / "exported"
    export(Store(store), target, format="nnunet")
    shutil.rmtree(target)


if __name__ == "__main__":
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    main()
