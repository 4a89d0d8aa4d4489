"""How quickly the report of a cohort opens and answers: `python benchmarks/cohort_report.py`.

A report of 1,000 cases, with pictures of the sample heads and the labels that come with them, is opened in Chromium. It is measured how
large it is, how long it takes from opening it until its first picture is decoded, and until a filter and a sort have been carried out and
laid out.
"""

from __future__ import annotations

import argparse
import json
import statistics
import tempfile
import time
from dataclasses import asdict
from pathlib import Path

import numpy as np

from measuring import ROOT, options, report  # isort: skip - puts the repository on the path
from results import table  # isort: skip

from tests.cohort.browser import Browser, chromium  # isort: skip
from ultralightunet.cohort import CaseRecord, ClassVolume, Recipe, open_place, plan_cohort, write_report  # isort: skip
from ultralightunet.cohort.pictures import picture_of  # isort: skip
from ultralightunet.io import read_image, read_labels  # isort: skip
from ultralightunet.models import load_model  # isort: skip

PAIRS = {
    "colin27_t1.nii.gz": "colin27_brain_mask.nii.gz",
    "tumour_mri_1.nrrd": "tumour_mri_1_tumour.nrrd",
    "tumour_mri_2.nrrd": "tumour_mri_2_tumour.nrrd",
}
LAID_OUT = "document.body.getBoundingClientRect().height"


def main() -> None:
    """Measure, print and write down."""
    found = options(__doc__ or "", repeats=5, add=_add_options)
    count = 50 if found.quick else found.cases
    with tempfile.TemporaryDirectory() as name:
        path = make_report(Path(name), count)
        megabytes = path.stat().st_size / 1e6
        times: dict[str, list[float]] = {"first picture": [], "filter": [], "sort": []}
        for number in range(found.repeats):
            with chromium(Path(name) / f"profile {number}") as browser:
                began = time.perf_counter()
                browser.send("Page.navigate", url=path.resolve().as_uri())
                while not browser.run("Boolean(document.images.length && document.images[0].complete && document.images[0].naturalWidth)"):
                    time.sleep(0.005)
                times["first picture"].append(time.perf_counter() - began)
                while not browser.run("document.readyState === 'complete' && !document.getElementById('controls').hidden"):
                    time.sleep(0.005)
                choose = "control('state').value = 'flagged'; control('state').dispatchEvent(new Event('input'))"
                times["filter"].append(answer(browser, choose))
                browser.run(choose.replace("flagged", ""))
                times["sort"].append(answer(browser, "document.querySelector('th[data-sort=volume] button').click()"))
    rows = [(what, f"{statistics.median(seconds):.2f}") for what, seconds in times.items()]
    text = (
        f"{count} cases, {megabytes:.1f} MB (wanted: at most 60 for 1,000), in headless Chromium; medians of {found.repeats}. Wanted: the "
        f"first picture within 2 s, a filter within 0.2 s.\n\n{table(('what', 'seconds'), rows)}"
    )
    report("The report of a cohort", text, found)


def answer(browser: Browser, script: str) -> float:
    """Seconds until what a script does has been laid out, as the page's own clock has it."""
    seconds: float = browser.run(
        f"(() => {{ const began = performance.now(); {script}; {LAID_OUT}; return (performance.now() - began) / 1000; }})()"
    )
    return seconds


def make_report(folder: Path, count: int) -> Path:
    """A report of so many cases that are done."""
    model = load_model("brain")
    recipe = Recipe.of(model)
    pictures = []
    for image, labels in PAIRS.items():
        volume = read_image(ROOT / "sample_data" / image)
        pictures.append(picture_of(volume, read_labels(ROOT / "sample_data" / labels)))
    for number in range(count):
        path = folder / "in" / f"sub-{number:05d}" / "T1w.nii.gz"
        path.parent.mkdir(parents=True)
        path.touch()
    plan, place = plan_cohort(folder / "in", model, output=folder / "out"), open_place(folder / "out", recipe)
    random = np.random.default_rng(0)
    for number, case in enumerate(plan.cases):
        volumes = (ClassVolume(1, "brain", 1, random.normal(1400, 100)), ClassVolume(2, "cerebrospinal fluid", 1, random.normal(250, 40)))
        warnings = ("expected 500 to 2500 ml of brain, found another amount",) if number % 20 == 0 else ()
        record = CaseRecord(
            case.name, "done", case.source, labels=f"{case.stem}.nii.gz", volumes=volumes, confidence=0.9, warnings=warnings
        )
        for path in (place.record(case), place.picture(case)):
            path.parent.mkdir(parents=True, exist_ok=True)
        place.record(case).write_text(json.dumps(asdict(record)), encoding="utf-8")
        place.picture(case).write_bytes(pictures[number % len(pictures)])
    return write_report(plan, place, recipe)


def _add_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--cases", type=int, default=1000, help="rows of the report")


if __name__ == "__main__":
    main()
