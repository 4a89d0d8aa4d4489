"""Gives shipped models their exemplars: `python training/exemplars.py --data DIR`, a few labelled images that show whether a new version
still knows what the shipped one knew.

No image that was trained on travels: heads are synthesised from label maps (Apache-2.0), polyps and breast lesions are painted, of which
those are taken that the model labels as they were painted, and hippocampi are the samples' with the model's own labels. So they show what a
new version forgets, not how well it does on real images.
"""

from __future__ import annotations

import argparse
import logging
import shutil
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import nibabel as nib
import numpy as np
import painted
from PIL import Image

from ultralightunet.disk import folder_beside
from ultralightunet.io import read_image, read_labels
from ultralightunet.metrics import dice
from ultralightunet.models import Model, load_model
from ultralightunet.retraining.exemplars import FOLDER, Pair, listed
from ultralightunet.retraining.scoring import Labeller
from ultralightunet.volume import Volume

ROOT = Path(__file__).parent.parent

HEAD_SPACING, HEAD_MARGIN = 2.0, 4
"""mm; voxels around the brain."""

LEAST_DICE = 0.85
"""Of the shipped model on a painted picture that is taken."""


@dataclass(frozen=True)
class Source:
    """Where a model's exemplars come from."""

    pairs: Callable[[Path, Path, Model], Iterator[Pair]]
    licence: str
    source: str


def hippocampi(data: Path, folder: Path, model: Model) -> Iterator[Pair]:
    """The sample crops in four lights, with what the shipped model says of them as they are: what it knows, not the truth."""
    label = Labeller(model, threads=1)
    for side in ("left", "right"):
        path = ROOT / "sample_data" / f"colin27_hippocampus_{side}.nii.gz"
        image, labels = nib.load(path), label(read_image(path))
        grey = in_bytes(np.asarray(image.dataobj, np.float32))
        for number, gamma in enumerate((1.0, 1.4)):
            name = f"{side}_{number}"
            yield Pair(
                volume(folder / f"{name}.nii.gz", (255 * (grey / 255) ** gamma).round().astype(np.uint8), image.affine),
                volume(folder / f"{name}_labels.nii.gz", labels.T.astype(np.uint8), image.affine),
            )


def lesions(data: Path, folder: Path, model: Model) -> Iterator[Pair]:
    """Ten painted pictures that the model labels as they were painted."""
    yield from _taken(painted.lesion, folder, model)


def heads(data: Path, folder: Path, model: Model) -> Iterator[Pair]:
    """The brains and what is around them of three heads that do not exist, bent at random, T1-like, at 2 mm and in 64 grey values."""
    import torch
    from brain import TARGET_OF_CLASS
    from head_maps import load_head_maps
    from synthesis import HeadSynthesizer

    torch.set_num_threads(1)
    draw = HeadSynthesizer(
        load_head_maps(data / "head_label_maps", range(3, 19, 6)),
        size=(96, 96, 96),
        spacing=HEAD_SPACING,
        seed=7,
        t1_share=lambda _: 1.0,
        target_of_class=TARGET_OF_CLASS if model.name == "brain" else None,
    )
    for number in range(3):
        image, target = draw(number)
        brain = torch.nonzero(target > 0)
        near = tuple(
            slice(max(0, int(low) - HEAD_MARGIN), int(high) + HEAD_MARGIN) for low, high in zip(brain.amin(0), brain.amax(0), strict=True)
        )
        affine = np.diag([HEAD_SPACING] * 3 + [1.0])
        # Files count axes the other way.
        yield Pair(
            volume(folder / f"head_{number}.nii.gz", in_bytes(image.squeeze(0)[near].numpy().T) // 4 * 4, affine),
            volume(folder / f"head_{number}_labels.nii.gz", target[near].numpy().T.astype(np.uint8), affine),
        )


def polyps(data: Path, folder: Path, model: Model) -> Iterator[Pair]:
    """Ten painted pictures that the model labels as they were painted."""
    yield from _taken(painted.polyp, folder, model)


def _taken(paint: Callable[[int], tuple[np.ndarray, np.ndarray]], folder: Path, model: Model) -> Iterator[Pair]:
    label, taken = Labeller(model, threads=1), 0
    for number in range(400):
        image, mask = paint(number)
        path = folder / f"painted_{number:03d}.jpg"
        Image.fromarray(image).save(path, quality=88)
        if dice(label(read_image(path)) == 1, mask) < LEAST_DICE:
            path.unlink()
            continue
        target = folder / f"painted_{number:03d}_labels.png"
        Image.fromarray(mask).convert("1").save(target, optimize=True)
        yield Pair(path, target)
        taken += 1
        if taken == 10:
            return


SOURCES = {
    "hippocampus": Source(hippocampi, "BSD-3-Clause", "Colin27's hippocampi of the samples, labelled by hippocampus 0.1.0 itself"),
    "breast-lesion": Source(lesions, "BSD-3-Clause", "painted by training/painted.py: no training image travels with the model"),
    "brain": Source(heads, "Apache-2.0", "synthesised from label maps of SynthSeg (doi 10.1016/j.media.2023.102789)"),
    "brain-anatomy": Source(heads, "Apache-2.0", "synthesised from label maps of SynthSeg (doi 10.1016/j.media.2023.102789)"),
    "polyp": Source(polyps, "BSD-3-Clause", "painted by training/painted.py: no frame of an examination may travel with the model"),
}


def in_bytes(grey: np.ndarray) -> np.ndarray:
    """Grey values from their 0.1st to their 99.9th percentile as 0 to 255."""
    low, high = np.percentile(grey, (0.1, 99.9))
    scaled: np.ndarray = np.clip((grey - low) / max(high - low, 1e-6) * 255, 0, 255).round().astype(np.uint8)
    return scaled


def volume(path: Path, values: np.ndarray, affine: np.ndarray) -> Path:
    """Write (i, j, k) values as NIfTI."""
    image = nib.Nifti1Image(values, affine)
    image.header.set_xyzt_units("mm")
    nib.save(image, path)
    return path


def shown(model: Model, pairs: list[Pair]) -> str:
    """How well the shipped model does on them."""
    label, found = Labeller(model, threads=1), []
    for pair in pairs:
        image: Volume = read_image(pair.image)
        labels, truth = label(image), read_labels(pair.labels).labels
        found.append(np.mean([dice(labels == k, truth == k) for k in range(1, len(model.classes)) if (truth == k).any()]))
    return " ".join(f"{value:.3f}" for value in found)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--models", nargs="+", choices=list(SOURCES), default=list(SOURCES))
    options = parser.parse_args()
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    for name in options.models:
        model, source = load_model(name), SOURCES[name]
        with tempfile.TemporaryDirectory() as place:
            pairs = list(source.pairs(options.data, Path(place), model))
            files = listed(pairs, licence=source.licence, source=source.source)
            logging.info("%s: %d exemplars, %.0f kB, Dice %s", name, len(pairs), sum(map(len, files.values())) / 1000, shown(model, pairs))
        with folder_beside(model.folder, "writing") as beside:
            for path, blob in files.items():
                (beside / path).parent.mkdir(parents=True, exist_ok=True)
                (beside / path).write_bytes(blob)
            shutil.rmtree(model.folder / FOLDER, ignore_errors=True)
            (beside / FOLDER).rename(model.folder / FOLDER)


if __name__ == "__main__":
    main()
