"""A task that a small network learns in seconds: bright discs in noise, as pictures."""

from __future__ import annotations

import tempfile
from functools import cache
from pathlib import Path

import numpy as np
from PIL import Image

from ultralightunet.corrections import Revision, Store
from ultralightunet.corrections.files import image_hash
from ultralightunet.models import LabelClass, Model, read_model
from ultralightunet.new_task import Wishes, train
from ultralightunet.volume import Segmentation, Volume

SIZE = 64
CLASSES = (LabelClass(0, "background", (0, 0, 0)), LabelClass(1, "disc", (220, 60, 60)))


def picture(seed: int, *, faint: bool = False) -> tuple[Volume, Segmentation]:
    """A disc, brighter than its surroundings; or a third as bright, beside a glare in the corner."""
    rng = np.random.default_rng(seed)
    radius = rng.integers(7, 13)
    j, i = rng.integers(radius, SIZE - radius, 2)
    rows, columns = np.mgrid[:SIZE, :SIZE]
    labels = ((rows - j) ** 2 + (columns - i) ** 2 < radius**2).astype(np.uint8)
    grey = 90 + (30 if faint else 90) * labels + rng.normal(0, 12, labels.shape)
    if faint:
        grey[:6, :6] = 250
    image = Volume(np.clip(grey, 0, 255).astype(np.uint8), has_spacing=False)
    return image, Segmentation(labels, image.affine, CLASSES, has_spacing=False)


def write_dataset(folder: Path, count: int) -> Path:
    """images/ and masks/ with so many pictures."""
    for name in ("images", "masks"):
        (folder / name).mkdir(parents=True)
    for seed in range(count):
        image, labels = picture(1000 + seed)
        Image.fromarray(image.array).save(folder / "images" / f"{seed:02d}.png")
        Image.fromarray(labels.labels * 255).save(folder / "masks" / f"{seed:02d}.png")
    return folder


QUICK = Wishes(name="discs", variant="T", steps=90, batch_size=4, learning_rate=3e-2, threads=1, modality="photo")


@cache
def disc_model() -> Model:
    """A model that labels bright discs, trained once for all tests; its folder must not be changed."""
    place = Path(tempfile.mkdtemp(prefix="ultralight-tests-"))
    return train(write_dataset(place / "data", 16), place / "discs", QUICK, classes=("disc",))


def corrected(
    store: Store,
    seeds: range,
    *,
    faint: bool = True,
    train_only: bool = True,
    wrong: bool = False,
) -> list[Revision]:
    """Save pictures with what their labels should have been; `wrong` ones say that there is nothing."""
    found = []
    for seed in seeds:
        image, labels = picture(seed, faint=faint)
        if wrong:
            labels = Segmentation(1 - labels.labels, labels.affine, CLASSES, has_spacing=False)
        sha256 = image_hash(image.array, image.affine, channels=1, has_spacing=False)
        seen = (sha256,) if train_only else ()
        found.append(store.add(image, labels, None, classes=CLASSES, confirmed=True, seen_in_training=seen))
    return found


def again(model: Model) -> Model:
    """Read anew, with nothing remembered."""
    return read_model(model.folder)
