"""How well a cohort uses a machine: `python benchmarks/cohort.py`.

Copies of a sample head are labelled with one thread a process: by a plain loop over `Session.segment` in one warm process, which is what
the others are held against; by `ultralight cohort` with its one worker; by two parts at once; and by Dask with two local workers. What is
counted is the work per core, from the first case that ends to the last. Besides: how long it takes to plan a large cohort, and to look
through one that is done.
"""

from __future__ import annotations

import argparse
import json
import resource
import shutil
import subprocess
import sys
import tempfile
import time
from dataclasses import asdict
from pathlib import Path

from measuring import ROOT, options, report  # isort: skip - puts the repository on the path
from results import table  # isort: skip

from ultralightunet.cohort import CaseEnded, CaseRecord, DaskCluster, Recipe, open_place, plan_cohort, run_cohort  # isort: skip
from ultralightunet.events import finish  # isort: skip
from ultralightunet.inference.session import Request, Session  # isort: skip
from ultralightunet.io import read_image  # isort: skip
from ultralightunet.models import Model, load_model  # isort: skip

HEAD = ROOT / "sample_data" / "colin27_t1.nii.gz"
WANTED = 0.9


def main() -> None:
    """Measure, print and write down."""
    found = options(__doc__ or "", add=_add_options)
    cases, large, finished = (4, 400, 100) if found.quick else (found.cases, 40_000, 10_000)
    model = load_model(found.model)
    with tempfile.TemporaryDirectory(dir=found.folder) as name:
        place = Path(name)
        root = place / "in"
        root.mkdir()
        for number in range(cases):
            shutil.copyfile(found.image, root / f"scan {number:04d}.nii.gz")
        alone = loop(root, place / "loop", model)
        rows = [("a loop in one process", 1, f"{alone:.2f}", "1.00")]
        for what, cores, seconds in (
            ("one worker", 1, in_one(root, place / "one", model)),
            ("two parts at once", 2, in_parts(root, place / "parts", found.model)),
            ("Dask, two local workers", 2, on_dask(root, place / "dask", model)),
        ):
            rows.append((what, cores, f"{seconds:.2f}", f"{alone / (seconds * cores):.2f}"))
        memory = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1024
        planned, megabytes = planning(place / "large", large, model)
        looked = looking(place / "done", finished, model)
    text = (
        f"{cases} copies of {found.image.name} with `{model.id}`, one thread a process.\n\n"
        f"{table(('how', 'cores', 'seconds a case', 'work per core'), rows)}\n\n"
        f"Work per core is held against the loop; wanted {WANTED}. The largest process took {memory:.0f} MB. A plan of {large} cases: "
        f"{planned:.1f} s and {megabytes:.0f} MB more than before. Looking through {finished} that "
        f"are done: {looked:.1f} s, the table included."
    )
    report("A cohort", text, found)


def loop(root: Path, out: Path, model: Model) -> float:
    """Seconds a case of a plain loop in this process."""
    session, request = Session(), Request(model, threads=1)
    out.mkdir()
    ends = []
    for path in sorted(root.iterdir()):
        finish(session.segment(read_image(path), request)).save(out / path.name)
        ends.append(time.perf_counter())
    return (ends[-1] - ends[0]) / (len(ends) - 1)


def in_one(root: Path, out: Path, model: Model) -> float:
    """Seconds a case of a cohort's one worker."""
    ends = [time.perf_counter() for event in run_cohort(*_asked(root, out, model)) if isinstance(event, CaseEnded)]
    return (ends[-1] - ends[0]) / (len(ends) - 1)


def in_parts(root: Path, out: Path, model: str) -> float:
    """Seconds a case of two parts at once, from the moment at which both have ended their first case."""
    command = [sys.executable, "-m", "ultralightunet", "cohort", str(root), str(out), "--model", model, "--threads", "1", "--json"]
    jobs = [subprocess.Popen([*command, "--shard", f"{n}/2"], stdout=subprocess.PIPE, text=True, cwd=ROOT) for n in (1, 2)]
    for job in jobs:
        assert job.stdout is not None
        job.stdout.readline()  # the plan
        job.stdout.readline()  # the first case
    began, before = time.perf_counter(), _count(out)
    for job in jobs:
        job.communicate()
    return (time.perf_counter() - began) / max(1, _count(out) - before)


def on_dask(root: Path, out: Path, model: Model) -> float:
    """Seconds a case of two local workers, after each has ended its first one."""
    work = run_cohort(*_asked(root, out, model), runner=DaskCluster("local", workers=2))
    ends = [time.perf_counter() for event in work if isinstance(event, CaseEnded)]
    return (ends[-1] - ends[1]) / (len(ends) - 2)


def planning(root: Path, count: int, model: Model) -> tuple[float, float]:
    """Seconds, and megabytes, to find so many cases in folders of ten."""
    _many(root, count)
    before, began = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss, time.perf_counter()
    plan = plan_cohort(root, model, output=root.parent / "nowhere")
    seconds = time.perf_counter() - began
    assert len(plan.cases) == count
    return seconds, (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1024


def looking(root: Path, count: int, model: Model) -> float:
    """Seconds to run a cohort of which everything is done."""
    out = root.parent / "results"
    _many(root, count)
    plan, _, recipe = _asked(root, out, model)
    place = open_place(out, recipe, root=root)
    for case in plan.cases:
        labels = place.labels(case, ".nii.gz")
        record = CaseRecord(case.name, "done", case.source, case.fingerprint(), recipe.key, labels=labels.relative_to(out).as_posix())
        labels.parent.mkdir(parents=True, exist_ok=True)
        labels.touch()
        # Not through `Place.write`, which sees each one through to the disk.
        place.record(case).write_text(json.dumps(asdict(record)), encoding="utf-8")
    began = time.perf_counter()
    summary = finish(run_cohort(plan_cohort(root, model, output=out), out, recipe))
    assert summary.passed_over == count
    return time.perf_counter() - began


def _asked(root: Path, out: Path, model: Model) -> tuple:
    return plan_cohort(root, model, output=out), out, Recipe.of(model, threads=1)


def _many(root: Path, count: int) -> None:
    for number in range(count):
        path = root / f"sub-{number // 10:05d}" / f"scan-{number % 10}.nii.gz"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()


def _count(out: Path) -> int:
    return len(list((out / "labels").glob("*.json")))


def _add_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--cases", type=int, default=30, help="scans that are labelled in each way")
    parser.add_argument("--image", type=Path, default=HEAD, help="that is copied, a NIfTI file")
    parser.add_argument("--model", default="brain", help="that labels them")
    parser.add_argument("--folder", type=Path, help="where the files go; by default the system's for temporary ones")


if __name__ == "__main__":
    main()
