"""The picture on the page about cohorts: label a small cohort made from the sample heads, and look at its report in Chromium.

python scripts/cohort_pictures.py docs/images
"""

from __future__ import annotations

import shutil
import subprocess
import sys
import tempfile
from contextlib import chdir
from pathlib import Path

import numpy as np
from PIL import Image

from ultralightunet.cli import main
from ultralightunet.inference.transforms import resample
from ultralightunet.io import read_image

ROOT = Path(__file__).parents[1]
HEADS = ("colin27_t1.nii.gz", "tumour_mri_1.nrrd", "tumour_mri_2.nrrd")


def make_cohort(folder: Path) -> None:
    """Heads at 2.5 mm: larger and smaller ones, one cut off, one of another size than its header says, one file damaged."""
    import nibabel

    random = np.random.default_rng(0)
    for head, name in enumerate(HEADS):
        image = read_image(ROOT / "sample_data" / name)
        shape = tuple(max(8, round(n * mm / 2.5)) for n, mm in zip(image.shape, image.spacing, strict=True))
        small = resample(image.array, shape)[0]
        for number in range(4):
            scale = 1.3 if (head, number) == (1, 3) else random.normal(1, 0.02)
            values = small + random.normal(0, 0.02 * small.std(), small.shape)
            affine = image.affine.copy()
            affine[:3, :3] *= np.array(image.shape[::-1]) / np.array(shape[::-1]) * scale
            if (head, number) == (0, 3):
                values = values[: values.shape[0] // 2]
            path = folder / f"sub-{head * 4 + number + 1:02d}" / "anat" / "T1w.nii.gz"
            path.parent.mkdir(parents=True)
            nibabel.Nifti1Image(values.T.astype(np.float32), affine).to_filename(path)
    damaged = folder / "sub-13" / "anat" / "T1w.nii.gz"
    damaged.parent.mkdir(parents=True)
    damaged.write_bytes((folder / "sub-01" / "anat" / "T1w.nii.gz").read_bytes()[:40000])


def take_picture(page: Path, target: Path, *, width: int = 1400, height: int = 900) -> None:
    """What Chromium shows of a page, as PNG with few colours."""
    program = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    if program is None:
        raise SystemExit("expected Chromium to take the picture with, found none; install it (apt-get install chromium)")
    with tempfile.TemporaryDirectory() as profile:
        command = [program, "--headless=new", "--no-sandbox", "--disable-gpu", "--hide-scrollbars", f"--user-data-dir={profile}"]
        shot = target.with_suffix(".png")
        subprocess.run(
            [*command, f"--window-size={width},{height}", "--virtual-time-budget=10000", f"--screenshot={shot}", page.resolve().as_uri()],
            check=True,
            capture_output=True,
        )
    Image.open(shot).convert("RGB").quantize(128).save(shot, optimize=True)


if __name__ == "__main__":
    target = Path(sys.argv[1]).resolve()
    target.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as place, chdir(place):
        make_cohort(Path("study"))
        main(["cohort", "study", "results", "--threads", "1", "--report"])
        take_picture(Path("results/report.html"), target / "cohort-report.png")
