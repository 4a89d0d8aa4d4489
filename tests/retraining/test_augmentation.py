"""Random changes of image and target, and the light of other images."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import torch

from tests.retraining.corrected_noise import THREE
from tests.retraining.lights import shaded
from tests.small_models import small_model
from ultralightunet import LabelClass
from ultralightunet.learning.augmentation import UNCHANGED, Augmentation, in_light, light_of
from ultralightunet.learning.losses import IGNORE
from ultralightunet.models import Intensity
from ultralightunet.retraining import Retraining
from ultralightunet.retraining.run import _Work
from ultralightunet.retraining.sampling import augmentation_for
from ultralightunet.retraining.selection import Selection


def block(size: int = 48) -> tuple[torch.Tensor, torch.Tensor]:
    target = torch.zeros(size, size, size)
    target[14:30, 16:36, 12:40] = 1
    return (target * 2 - 0.5)[None], target


@pytest.mark.parametrize("change", ["turn", "scale", "bend", "mirror"])
@pytest.mark.parametrize("dims", [2, 3])
def test_the_target_follows_the_image_wherever_it_is_moved(change: str, dims: int) -> None:
    image, target = block()
    if dims == 2:
        image, target = image[:, 20], target[20]
    augment = replace(UNCHANGED, move_chance=1.0, **{change: {"turn": 0.6, "scale": 1.4, "bend": 0.05, "mirror": True}[change]})
    moved = []
    for seed in range(6):
        seen, found = augment(
            image,
            target,
            size=(32, 64, 48)[-dims:],
            centre=(22.0,) * dims,
            spacing=(2.0, 1.0, 1.5)[-dims:],
            intensity=Intensity("window", -0.5, 1.5),
            rng=torch.Generator().manual_seed(seed),
        )
        inside = found != IGNORE
        assert ((seen[0] > 0.5) == (found == 1))[inside].float().mean() > 0.97
        moved.append(found)
    assert any(not torch.equal(moved[0], other) for other in moved)


def test_beyond_the_image_nothing_is_known_and_it_is_dark_as_in_the_product() -> None:
    image, target = block()
    augment = replace(Augmentation(), strange_chance=1.0)
    for seed in range(5):
        seen, found = augment(
            image,
            target,
            size=(64, 64, 64),
            centre=(23.5,) * 3,
            spacing=(1.0,) * 3,
            intensity=Intensity(),
            rng=torch.Generator().manual_seed(seed),
        )
        outside = found == IGNORE
        assert outside.any()
        assert (seen[0][outside] == seen.min()).all()


@pytest.mark.parametrize(
    "rule", [Intensity(), Intensity("scale", 0, 255, (0.4,), (0.2,)), Intensity("window", -100, 300, (50.0,), (80.0,))]
)
def test_another_look_stays_within_what_the_rule_for_grey_values_gives(rule: Intensity) -> None:
    torch.manual_seed(0)
    image = torch.randn(1, 24, 24, 24)
    if rule.rule != "percentile":
        low, high = (0.0, 1.0) if rule.rule == "scale" else (rule.low, rule.high)
        image = (image.sigmoid() * (high - low) + low - rule.mean[0]) / rule.std[0]
    augment = replace(Augmentation(), move_chance=0.0, strange_chance=0.5)
    different = 0
    for seed in range(12):
        seen, _ = augment(
            image,
            torch.zeros(24, 24, 24),
            size=(24, 24, 24),
            centre=(11.5,) * 3,
            spacing=(1.0,) * 3,
            intensity=rule,
            rng=torch.Generator().manual_seed(seed),
        )
        different += not torch.allclose(seen, image, atol=0.05)
        if rule.rule == "percentile":
            torch.testing.assert_close(seen.mean(), image.mean(), atol=1e-3, rtol=0)
            torch.testing.assert_close(seen.std(), image.std(), atol=1e-3, rtol=0)
        else:
            low, high = (0.0, 1.0) if rule.rule == "scale" else (rule.low, rule.high)
            assert float(seen.min()) >= (low - rule.mean[0]) / rule.std[0] - 1e-4
            assert float(seen.max()) <= (high - rule.mean[0]) / rule.std[0] + 1e-4
    assert different > 6


def test_a_class_of_one_side_ends_the_mean_over_mirror_images(tmp_path: Path) -> None:
    parent = small_model(tmp_path / "model", spatial_dims=2, mirrored=(0, 1))
    for classes, expected in ((THREE, (0, 1)), ((*THREE, LabelClass(3, "left kidney")), (0,))):
        work = _Work(parent, Selection((), (), (), classes), Retraining())
        assert work.child.mirrored == expected
        assert work.child.classes == classes


def test_left_and_right_are_exchanged_only_where_no_class_is_of_one_side() -> None:
    assert augmentation_for(THREE).mirror
    assert not augmentation_for((*THREE, LabelClass(3, "Left-Hippocampus"))).mirror
    assert augmentation_for((*THREE, LabelClass(3, "bright spot"))).mirror
    assert augmentation_for(THREE, "Endoscopy").turn > 3 > augmentation_for(THREE, "MR (T1)").turn


@pytest.mark.parametrize("rule", [Intensity(), Intensity("scale", 0, 255, (0.4,), (0.2,))])
@pytest.mark.parametrize("dims", [2, 3])
def test_an_image_in_the_light_of_another_keeps_its_own_detail(rule: Intensity, dims: int) -> None:
    one, other = shaded(dims, rule, 1), shaded(dims, rule, -1)
    seen = in_light(one, light_of(other, rule, knots=4), rule)
    thirds = [part.mean() for part in seen[0].tensor_split(3)]
    assert thirds[0] > thirds[1] > thirds[2]
    assert float((seen - other).abs().mean()) < 0.25 * float((one - other).abs().mean())
    unmoved = in_light(one, light_of(one, rule, knots=4), rule)
    torch.testing.assert_close(unmoved, one, atol=1e-4, rtol=1e-4)
