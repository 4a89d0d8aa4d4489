"""Images outside the corrections, against forgetting."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from tests.small_models import small_model
from ultralightunet import InputError, Volume
from ultralightunet.corrections.files import image_hash
from ultralightunet.models import load_model
from ultralightunet.retraining.images import images_in, known_images, sample_images
from ultralightunet.retraining.scoring import Labeller


def test_the_hippocampus_model_knows_the_samples_around_a_hippocampus_and_no_whole_head(tmp_path: Path) -> None:
    labeller = Labeller(load_model("hippocampus"), threads=1)
    found = list(known_images(sample_images(), labeller, outside=(), strict=True))
    assert [image.shape for image, _ in found] == [(36, 52, 36)] * 2
    labeller = Labeller(load_model("brain"), threads=1)
    assert {image.shape for image, _ in known_images(sample_images(), labeller, outside=(), strict=True)} == {
        (181, 217, 181),
        (25, 256, 256),
        (23, 256, 256),
    }


def test_the_sample_images_are_found_without_their_masks() -> None:
    assert {path.name for path in sample_images()} >= {"colin27_t1.nii.gz", "tumour_mri_1.nrrd", "tumour_mri_2.nrrd"}
    assert not [path for path in sample_images() if "mask" in path.name or path.name.endswith("_tumour.nrrd")]


def test_an_image_is_used_only_if_the_model_knows_what_it_says_about_it(tmp_path: Path) -> None:
    """A model with random weights changes its mind with the slightest noise."""

    class Steady(Labeller):
        def __call__(self, image: Volume) -> np.ndarray:
            return (image.array > 100).astype(np.uint8)

    class Fickle(Labeller):
        def __call__(self, image: Volume) -> np.ndarray:
            return np.asarray(image.array % 2, np.uint8)

    model = small_model(tmp_path / "model")
    path = tmp_path / "image.nii.gz"
    array = np.where(np.arange(32)[:, None, None] < 12, 180, 40) * np.ones((32, 32, 32))
    from tests.io_files import write_nii

    write_nii(path, array.astype(np.int16), np.eye(4))
    image = Volume(array.astype(np.int16), np.eye(4))
    sha256 = image_hash(image.array, image.affine, channels=1, has_spacing=True)
    assert len(list(known_images([path], Steady(model), outside=(), strict=True))) == 1
    assert not list(known_images([path], Steady(model), outside=(sha256,), strict=True))
    assert not list(known_images([path], Fickle(model), outside=(), strict=True))


def test_images_that_were_named_must_be_there(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="expected images at .*none"):
        images_in([tmp_path / "none"])
    (tmp_path / "folder").mkdir()
    (tmp_path / "folder" / "a.png").touch()
    (tmp_path / "folder" / ".hidden").touch()
    assert images_in([tmp_path / "folder"]) == [tmp_path / "folder" / "a.png"]
