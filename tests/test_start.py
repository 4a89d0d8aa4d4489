"""`make start` without a display: napari opens, the head is segmented, and a picture and the labels are left behind."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
from PIL import Image

pytestmark = pytest.mark.slow


def start(root: Path, output: Path) -> subprocess.CompletedProcess[str]:
    """Run the start script on the display that the tests have."""
    command = [sys.executable, str(root / "scripts" / "start.py"), "--output", str(output)]
    return subprocess.run(command, cwd=output.parent, capture_output=True, text=True, check=False, timeout=400)


@pytest.mark.usefixtures("qapp")
def test_it_leaves_a_picture_of_the_window_and_the_labels_of_the_head(root: Path, sample_data: Path, tmp_path: Path) -> None:
    done = start(root, tmp_path / "output")
    assert done.returncode == 0, done.stderr
    for name in ("start.png", "colin27_brain.nii.gz"):
        assert str(tmp_path / "output" / name) in done.stderr
    head = nib.load(sample_data / "colin27_t1.nii.gz")
    labels = nib.load(tmp_path / "output" / "colin27_brain.nii.gz")
    np.testing.assert_array_equal(labels.affine, head.affine)
    assert labels.shape == head.shape
    # A brain with the fluid around it fills between one and two and a half litres.
    assert 1.0e6 < np.count_nonzero(labels.dataobj) < 2.5e6
    picture = np.asarray(Image.open(tmp_path / "output" / "start.png").convert("RGB"))
    assert picture.shape[0] > 600
    assert picture.shape[1] > 1000
    # The labels are drawn over the head: much of the canvas is coloured, while napari itself is grey and blue.
    red, _, blue = np.moveaxis(picture.astype(int), -1, 0)
    assert (red > blue + 40).mean() > 0.05
