"""The pictures on the pages of the head models: `python training/picture.py` segments the sample heads as a user would and draws them."""

from __future__ import annotations

from typing import Any

import matplotlib as mpl
import numpy as np
from recipe import ROOT

import ultralightunet as ulu
from ultralightunet.inference.transforms import Orientation
from ultralightunet.io import read_image
from ultralightunet.models import SHIPPED

mpl.use("Agg")
import matplotlib.pyplot as plt

MODELS = ("brain", "brain-anatomy")
HEADS = {"colin27_t1.nii.gz": "Colin27, T1, 1 mm", "tumour_mri_1.nrrd": "tumour MRI 1, 6.5 mm slices", "tumour_mri_2.nrrd": "tumour MRI 2"}


def draw(
    axes: Any, image: np.ndarray, labels: np.ndarray, colors: dict[int, tuple[int, int, int]], aspect: float, brightest: float
) -> None:
    """One slice with its labels, the patient's foot or back below."""
    overlay = np.zeros((*labels.shape, 4))
    for number, color in colors.items():
        overlay[labels == number] = (*(part / 255 for part in color), 0.45)
    axes.imshow(image, cmap="gray", origin="lower", aspect=aspect, vmax=brightest)
    axes.imshow(overlay, origin="lower", aspect=aspect, interpolation="nearest")
    axes.axis("off")


def picture(name: str) -> None:
    """Each sample head in three planes, with the labels of the model `name`."""
    model = ulu.load_model(SHIPPED / name)
    colors = {c.index: c.color for c in model.classes[1:]}
    figure, grid = plt.subplots(len(HEADS), 3, figsize=(12, 12.5), facecolor="black", layout="constrained")
    for row, (head, title) in zip(grid, HEADS.items(), strict=True):
        volume = read_image(ROOT / "sample_data" / head)
        orientation = Orientation.of(volume.affine)
        # The patient's right on the left of the picture.
        image, labels = (orientation.apply(array)[:, :, ::-1] for array in (volume.array, ulu.segment(volume, model).labels))
        k, j, i = np.argwhere(labels).mean(0).astype(int)
        dk, dj, di = orientation.spacing(volume.spacing)
        brightest = float(np.percentile(image, 99.7))
        draw(row[0], image[k], labels[k], colors, dj / di, brightest)
        draw(row[1], image[:, j], labels[:, j], colors, dk / di, brightest)
        draw(row[2], image[:, :, i], labels[:, :, i], colors, dk / dj, brightest)
        row[0].set_title(title, color="white", loc="left")
    target = ROOT / "docs" / "images" / "models" / f"{name}.png"
    target.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(target, dpi=60)


if __name__ == "__main__":
    for name in MODELS:
        picture(name)
