"""A new task from two labelled volumes: `python benchmarks/new_task.py`; one tumour MRI of the samples trains, the other tests.

A demonstration without a claim: one case says nothing about a second one. It runs the command that users run, `ultralight train`, and then
labels the other head through the product's own path.
"""

from __future__ import annotations

import argparse
import json
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from results import machine, table, write_section

from ultralightunet.io import read_image, read_labels
from ultralightunet.metrics import dice
from ultralightunet.models import read_model
from ultralightunet.retraining.scoring import Labeller

SAMPLES = Path(__file__).parent.parent / "sample_data"


def dataset(folder: Path, number: int) -> Path:
    """images/ and masks/ with one of the two heads."""
    for name, source in (("images", f"tumour_mri_{number}.nrrd"), ("masks", f"tumour_mri_{number}_tumour.nrrd")):
        (folder / name).mkdir(parents=True)
        shutil.copyfile(SAMPLES / source, folder / name / f"head_{number}.nrrd")
    return folder


def trained(data: Path, output: Path, options: argparse.Namespace) -> Path:
    """The model folder that the command makes."""
    command = [sys.executable, "-m", "ultralightunet", "train", str(data), "-o", str(output), "--classes", "tumour", "--modality", "MR"]
    command += ["--minutes", f"{options.minutes:g}", "--threads", str(options.threads), "--seed", str(options.seed), "--json"]
    lines = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout.splitlines()
    return Path(json.loads(lines[-1])["folder"])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--minutes", type=float, default=10.0, help="of training, for each of the two directions")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--print-only", action="store_true", help="leave RESULTS.md as it is")
    options = parser.parse_args()
    rows: list[list[object]] = []
    for learned, tested in ((1, 2), (2, 1)):
        with tempfile.TemporaryDirectory() as folder:
            began = time.perf_counter()
            model = read_model(trained(dataset(Path(folder) / "data", learned), Path(folder) / "tumour", options))
            seconds = time.perf_counter() - began
            label = Labeller(model, threads=options.threads)
            found = []
            for number in (learned, tested):
                truth = read_labels(SAMPLES / f"tumour_mri_{number}_tumour.nrrd").labels
                found.append(dice(label(read_image(SAMPLES / f"tumour_mri_{number}.nrrd")) == 1, truth == 1))
            rows.append([f"head {learned}", f"head {tested}", f"{found[0]:.3f}", f"{found[1]:.3f}", f"{seconds / 60:.1f}"])
            print(rows[-1], flush=True)
    text = "\n\n".join(
        (
            f"One labelled head trains, the other tests; a demonstration without a claim. `python benchmarks/new_task.py --minutes "
            f"{options.minutes:g} --threads {options.threads} --seed {options.seed}`",
            table(("trained on", "tested on", "Dice where trained", "Dice where tested", "minutes in all"), rows),
            machine(options.threads),
        )
    )
    print(text)
    if not options.print_only:
        write_section("A new task from one labelled volume", text)


if __name__ == "__main__":
    main()
