"""The pictures of failures: the worst cases come first, and what may not be passed on is not drawn."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import nibabel as nib
import numpy as np
import pytest
from PIL import Image

from tests.small_models import small_model
from ultralightunet.events import finish
from ultralightunet.inference.session import Request, Session
from ultralightunet.io import read_image
from ultralightunet.models import Model

RED = (255, 0, 0)


@pytest.fixture
def failures(script: Callable[[str], ModuleType]) -> ModuleType:
    return script("failures")


def labelled(model: Model, image: Path) -> np.ndarray:
    return finish(Session().segment(read_image(image), Request(model))).labels


@pytest.fixture
def pictures(tmp_path: Path) -> list[Path]:
    """Red noise, brighter from picture to picture."""
    rng = np.random.default_rng(0)
    paths = []
    for n in range(6):
        array = np.zeros((48, 64, 3), np.uint8)
        array[..., 0] = rng.integers(40 * n, 40 * n + 50, (48, 64))
        paths.append(tmp_path / f"{n}.png")
        Image.fromarray(array).save(paths[-1])
    return paths


def test_the_lowest_dice_comes_first(failures: ModuleType, tmp_path: Path, pictures: list[Path]) -> None:
    model = small_model(tmp_path / "model", spatial_dims=2, in_channels=3, classes=2, seed=6)
    # The reference is what the model says with ever more of it missing: the more, the lower the score.
    order = [3, 0, 5, 1, 4, 2]
    for place, n in enumerate(order):
        truth = labelled(model, pictures[n]).copy()
        marked = np.flatnonzero(truth)
        assert marked.size > 60
        truth.ravel()[marked[: marked.size * (6 - place) // 7]] = 0
        Image.fromarray((truth > 0).astype(np.uint8) * 255).save(tmp_path / f"{n}-mask.png")
    task = failures.Task(pictures, lambda image: image.with_name(f"{image.stem}-mask.png"))
    cases = failures.worst(model, task)
    assert [case.name for case in cases] == [str(n) for n in order[: failures.SHOWN]]
    assert [case.score for case in cases] == sorted(case.score for case in cases)
    np.testing.assert_array_equal(cases[0].found, labelled(model, pictures[order[0]]))


def test_of_a_volume_the_plane_is_shown_in_which_most_is_wrong(failures: ModuleType, tmp_path: Path) -> None:
    model = small_model(tmp_path / "model", classes=3)
    # Stored from right to left: the plane is counted from the left as it is drawn.
    affine = np.diag([-1.0, 1, 1, 1])
    image = tmp_path / "head.nii.gz"
    nib.save(nib.Nifti1Image(np.random.default_rng(0).normal(0, 1, (32, 32, 32)).astype(np.float32), affine), image)
    # Arrays of the product are (k, j, i).
    truth = labelled(model, image).transpose().copy()
    truth[7] = (truth[7] + 1) % 3
    nib.save(nib.Nifti1Image(truth.astype(np.uint8), affine), tmp_path / "head-labels.nii.gz")
    (case,) = failures.worst(model, failures.Task([image], lambda image: image.with_name("head-labels.nii.gz")))
    assert (case.found != case.true).all()
    assert case.image.shape == (32, 32)


@pytest.mark.parametrize("credit", ["", "Images: somebody, CC BY 4.0"])
def test_an_image_is_drawn_where_its_licence_allows(
    failures: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, credit: str
) -> None:
    monkeypatch.setattr(failures, "ROOT", tmp_path)
    image = np.full((48, 64, 3), RED, np.uint8)
    labels = np.zeros((2, 48, 64), np.uint8)
    labels[0, 10:30, 10:30] = labels[1, 12:32, 12:32] = 1
    shown = failures.Shown("frame", 0.4, image, *labels)
    written = failures.draw("polyp", [shown, shown], credit, upward=False)
    assert written == tmp_path / "docs" / "images" / "models" / "polyp-failures.png"
    drawn = np.array(Image.open(written).convert("RGB"))
    assert (drawn == RED).all(-1).any() == bool(credit)


def test_frames_that_may_not_be_passed_on_have_no_credit_to_be_shown_with(failures: ModuleType, shared: Path) -> None:
    tasks = failures.tasks(shared / "data")
    assert {name: bool(task.credit) for name, task in tasks.items()} == {"hippocampus": True, "breast-lesion": True, "polyp": False}
