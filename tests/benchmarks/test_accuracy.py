"""The comparison of networks reports what was measured with the settings it names, and nothing else."""

from __future__ import annotations

from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from types import ModuleType

import nibabel as nib
import numpy as np
import pytest
import torch
from torch import Tensor

from ultralightunet.architecture import Architecture
from ultralightunet.learning.losses import dice_cross_entropy
from ultralightunet.models import LabelClass, Model

pytestmark = pytest.mark.usefixtures("one_thread")

SETTINGS = {"variant": "T", "cases": 2, "input": (1, 32, 32, 32)}


@pytest.fixture
def accuracy(root: Path, script: Callable[[str], ModuleType], monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    monkeypatch.syspath_prepend(str(root / "benchmarks"))
    return script("accuracy")


def sample(number: int) -> tuple[Tensor, Tensor]:
    rng = torch.Generator().manual_seed(number)
    image = torch.randn(1, 32, 32, 32, generator=rng)
    return image, (image[0] > 1).to(torch.uint8)


def task(accuracy: ModuleType, tmp_path: Path, score: Callable[[np.ndarray, Path], float]) -> object:
    """Two noise volumes to score on."""
    cases = []
    for n in range(2):
        cases.append(tmp_path / f"{n}.nii.gz")
        nib.save(nib.Nifti1Image(sample(1000 + n)[0][0].numpy(), np.eye(4)), cases[-1])
    classes = (LabelClass(0, "background"), LabelClass(1, "bright", (1, 2, 3)))
    architecture = Architecture(3, 1, 2, (4, 4, 4, 4, 4), "batch")
    model = Model(tmp_path, "bright", "0.1.0", "Bright", "noise", architecture, classes, window=(32, 32, 32), licence="CC0-1.0")
    return accuracy.Task("noise", model, (1, 32, 32, 32), ("UNet",), sample, dice_cross_entropy, 1, score, cases)


def test_results_of_other_settings_are_refused(accuracy: ModuleType, tmp_path: Path) -> None:
    path = tmp_path / "steps.json"
    assert accuracy.kept(path, SETTINGS) is None
    accuracy.keep(path, SETTINGS, {"dice": 0.5})
    assert accuracy.kept(path, SETTINGS) == {"dice": 0.5}
    with pytest.raises(SystemExit, match="found those of other settings; choose another --output"):
        accuracy.kept(path, {**SETTINGS, "variant": "B"})


def test_a_rate_is_chosen_by_its_loss_where_nothing_is_marked_yet(accuracy: ModuleType, tmp_path: Path) -> None:
    noise = task(accuracy, tmp_path, lambda labels, path: 0.0)
    chosen = accuracy.chosen_rate(noise, "UNet", 3, tmp_path, SETTINGS)
    tried = accuracy.kept(tmp_path / "rates.json", {**SETTINGS, "steps": 3, "rates": accuracy.RATES})["tried"]
    assert [one["rate"] for one in tried] == list(accuracy.RATES)
    assert chosen == min(tried, key=lambda one: one["loss"])["rate"]
    # What was tried is not tried again.
    noise.cases.clear()
    assert accuracy.chosen_rate(noise, "UNet", 3, tmp_path, SETTINGS) == chosen


def test_odd_cases_are_reported_and_even_ones_choose(accuracy: ModuleType, tmp_path: Path) -> None:
    seen: list[str] = []

    def score(labels: np.ndarray, path: Path) -> float:
        seen.append(path.name)
        return 0.25

    noise = task(accuracy, tmp_path, score)
    accuracy.chosen_rate(noise, "UNet", 1, tmp_path, SETTINGS)
    assert set(seen) == {"0.nii.gz"}
    seen.clear()
    found = accuracy.compared(noise, "UNet", accuracy.Budget("steps", steps=2), 1e-3, tmp_path, SETTINGS)
    assert seen == ["1.nii.gz"]
    assert (found["dice"], found["steps"], found["cases"]) == (0.25, 2, 1)
    assert accuracy.compared(noise, "UNet", accuracy.Budget("steps", steps=2), 1e-3, tmp_path, SETTINGS) == found
    assert seen == ["1.nii.gz"]


def test_a_rate_at_the_end_of_the_range_is_marked(accuracy: ModuleType) -> None:
    found = {"interval": (0.1, 0.2), "parameters": 1, "operations": 1, "steps": 1, "dice": 0.1, "cpu_seconds": 1}
    marked = [
        any("end of the range" in str(cell) for cell in accuracy.row("UNet", "steps", {**found, "rate": rate})) for rate in accuracy.RATES
    ]
    assert marked == [True, False, False, True]


def test_an_unknown_network_is_refused(accuracy: ModuleType) -> None:
    with pytest.raises(ValueError, match="expected one of UNet, .*, found 'DynUnet'"):
        import_module("peers").peer("DynUnet")
