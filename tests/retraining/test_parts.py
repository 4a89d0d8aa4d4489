"""What a retraining is made of: who trains, what is unknown, what the network sees, who wins. Without any training."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from tests.io_files import random_affine
from tests.small_models import random_weights, small_model
from ultralightunet import InputError, LabelClass, Segmentation, Volume
from ultralightunet.corrections import Store
from ultralightunet.corrections.files import image_hash
from ultralightunet.engines import make_engine
from ultralightunet.events import finish
from ultralightunet.inference.session import Request, label_with
from ultralightunet.learning.augmentation import UNCHANGED, Augmentation, in_light, light_of
from ultralightunet.learning.losses import IGNORE, dice_cross_entropy, distillation, partial_dice_cross_entropy
from ultralightunet.models import Intensity, install_model, load_model, write_model
from ultralightunet.networks import UltraLightUNet
from ultralightunet.retraining import Comparison, Drift, Retraining, decide
from ultralightunet.retraining.fitting import blended, freeze_statistics, network_of, weights_of
from ultralightunet.retraining.images import images_in, known_images, sample_images
from ultralightunet.retraining.prepared import UNKNOWN, Prepared, prepared
from ultralightunet.retraining.run import _Work
from ultralightunet.retraining.sampling import Mixture, Sampler, augmentation_for, window_of
from ultralightunet.retraining.scoring import Labeller, agreement, scores_against
from ultralightunet.retraining.selection import Selection, select, target_of

TWO = (LabelClass(0, "background", (0, 0, 0)), LabelClass(1, "part 1", (220, 60, 60)))
THREE = (*TWO, LabelClass(2, "part 2", (60, 200, 80)))


def scan(seed: int = 0, shape: tuple[int, ...] = (20, 24, 28), **facts: Any) -> Volume:
    rng = np.random.default_rng(seed)
    return Volume(rng.integers(0, 200, shape).astype(np.int16), facts.pop("affine", np.diag([1.0, 1.1, 1.2, 1.0])), **facts)


def saved(
    store: Store, seed: int, *, classes: tuple[LabelClass, ...] = THREE, seen: bool = True, shape: Any = (20, 24, 28), **options: Any
):
    image = scan(seed, shape)
    drawn = np.random.default_rng(seed).integers(0, len(classes), image.shape).astype(np.uint8)
    sha256 = image_hash(image.array, image.affine, channels=1, has_spacing=True)
    labels = Segmentation(drawn, image.affine, classes)
    return store.add(image, labels, None, seen_in_training=(sha256,) if seen else (), **options)


# ---- who wins


def comparison(parent: float, candidate: float, cases: int = 5) -> Comparison:
    return Comparison(cases, parent, candidate)


@pytest.mark.parametrize(
    ("holdout", "drift", "expected"),
    [
        (comparison(0.800, 0.850), Drift(3, 0.99), "promoted"),
        (comparison(0.800, 0.795), Drift(3, 0.98), "promoted"),
        (comparison(0.800, 0.794), Drift(3, 0.99), "kept"),
        (comparison(0.800, 0.900), Drift(3, 0.979), "kept"),
        (comparison(0.800, 0.900), None, "ask"),
        (comparison(0.800, 0.900, cases=1), Drift(3, 0.99), "ask"),
        (comparison(0.800, 0.500, cases=1), Drift(3, 0.99), "ask"),
        (None, Drift(3, 0.99), "ask"),
        (None, Drift(3, 0.90), "kept"),
        (None, None, "ask"),
    ],
)
def test_only_what_is_better_takes_the_parents_place(holdout: Comparison | None, drift: Drift | None, expected: str) -> None:
    decision, sentence = decide(holdout, None, drift)
    assert decision == expected
    for figures in (holdout and (holdout.parent, holdout.candidate), drift and (drift.agreement,)):
        assert all(f"{value:.3f}" in sentence for value in figures or ())
    assert sentence.endswith("?") == (expected == "ask")


def test_an_estimate_is_called_one() -> None:
    sentence = decide(None, comparison(0.7, 0.8), None)[1]
    assert "Estimate by cross-validation on 5 corrected cases: Dice 0.700 before, 0.800 now" in sentence
    assert "Too few cases to decide: no case is held out" in sentence
    assert "One corrected case alone allows no estimate" in decide(None, None, None)[1]


# ---- who trains


def test_the_roles_of_the_store_decide(tmp_path: Path) -> None:
    model, store = small_model(tmp_path / "model"), Store(tmp_path / "store")
    for seed in range(12):
        saved(store, seed, seen=seed < 3)
    found = select(store, model)
    assert [r.case for r in found.train] == [r.case for r in store.cases("train")]
    assert [r.case for r in found.holdout] == [r.case for r in store.cases("holdout")]
    assert len(found.train) >= 3
    assert found.set_aside == ()
    assert found.classes == model.classes


def test_only_the_latest_correction_of_a_case_counts(tmp_path: Path) -> None:
    store = Store(tmp_path / "store")
    saved(store, 0)
    image = scan(0)
    store.add(image, Segmentation(np.ones(image.shape, np.uint8), image.affine, THREE), None)
    assert [r.name[-4:] for r in select(store, small_model(tmp_path / "model")).train] == ["0002"]


def test_what_an_ancestor_was_trained_on_measures_nothing(tmp_path: Path) -> None:
    store = Store(tmp_path / "store")
    saved(store, 0)
    held = next(r for r in (saved(store, seed, seen=False) for seed in range(1, 80)) if r.role == "holdout")
    parent = install_model(small_model(tmp_path / "parent").folder)
    case = {"case": held.case, "revision": 1, "use": "train", "image_sha256": held.image_sha256, "labels_sha256": ""}
    facts = replace(parent, version="1.0.0+r1", parent=parent.id, origin={"cases": [case]})
    middle = install_model(write_model(tmp_path / "r1", facts, random_weights(parent.architecture), licence_text="").folder)
    facts = replace(middle, version="1.0.0+r2", parent=middle.id, origin={})
    child = install_model(write_model(tmp_path / "r2", facts, random_weights(parent.architecture), licence_text="").folder)
    for model, expected in ((parent, False), (middle, True), (child, True)):
        found = select(store, model)
        assert (held in found.set_aside) == expected
        assert (held in found.holdout) != expected
        assert held not in found.train


def test_classes_grow_by_those_of_the_store_and_those_asked_for(tmp_path: Path) -> None:
    model, store = small_model(tmp_path / "model"), Store(tmp_path / "store")
    saved(store, 0, classes=(*THREE, LabelClass(3, "cyst", (1, 2, 3))))
    found = select(store, model, new_classes=(LabelClass(-1, "cyst"), LabelClass(-1, "vessel", (9, 8, 7)), LabelClass(-1, "duct")))
    assert [(c.index, c.name) for c in found.classes[3:]] == [(3, "cyst"), (4, "vessel"), (5, "duct")]
    assert found.classes[3].color == (1, 2, 3)
    assert found.classes[4].color == (9, 8, 7)
    assert len({c.color for c in found.classes}) == 6


def test_a_store_of_another_task_is_refused(tmp_path: Path) -> None:
    model = small_model(tmp_path / "model")
    with pytest.raises(InputError, match="expected a store of corrections, found none"):
        select(Store(tmp_path / "none"), model)
    flat = Store(tmp_path / "flat")
    saved(flat, 0, shape=(40, 48))
    with pytest.raises(InputError, match="expected corrections in 3D for small, found .* in 2D"):
        select(flat, model)
    other = Store(tmp_path / "other")
    saved(other, 0, classes=(TWO[0], LabelClass(1, "liver")))
    with pytest.raises(InputError, match="to have the classes of small, but.*'part 1'.*'liver'"):
        select(other, model)


def test_a_store_in_which_all_is_held_out_trains_nobody(tmp_path: Path) -> None:
    store = Store(tmp_path / "store")
    held = next(r for r in (saved(store, seed, seen=False) for seed in range(100)) if r.role == "holdout")
    for revision in store.cases("train"):
        shutil.rmtree(store.folder / "cases" / revision.case)
    assert [revision.case for revision in store.cases()] == [held.case]
    with pytest.raises(InputError, match="found 1 that are held out; save further corrections"):
        select(store, small_model(tmp_path / "model"))


# ---- what is unknown


def test_unchecked_voxels_are_unknown_and_so_is_background_from_before_a_class(tmp_path: Path) -> None:
    store = Store(tmp_path / "store")
    part = saved(store, 0, classes=TWO, checked={0: [3, 4]})
    whole = saved(store, 1, classes=THREE)
    target = target_of(part, THREE)
    assert (target[:3] == UNKNOWN).all()
    np.testing.assert_array_equal(np.unique(target[3:5]), [-2, 1])
    np.testing.assert_array_equal(np.unique(target_of(part, TWO)[3:5]), [0, 1])
    np.testing.assert_array_equal(target_of(whole, THREE), whole.labels().labels)


def test_scores_leave_out_what_is_unknown() -> None:
    target = np.array([1, 1, 0, 0, -2, -2, UNKNOWN, UNKNOWN], np.int16)
    right = np.array([1, 1, 0, 0, 2, 0, 1, 2], np.uint8)
    assert scores_against(target, [right]) == [1.0]
    # Class 1 where the old labels say background is wrong; class 2 there may be right.
    assert scores_against(target, [np.array([1, 1, 0, 0, 1, 0, 0, 0], np.uint8)]) == [pytest.approx(4 / 5)]
    one, other = scores_against(target, [right, np.array([1, 1, 2, 0, 0, 0, 0, 0], np.uint8)])
    assert one == 1.0
    assert other == pytest.approx(0.5)


def test_agreement_is_of_the_parents_classes_only() -> None:
    before = np.array([0, 1, 1, 2], np.uint8)
    assert agreement(before, before, 3) == 1.0
    assert agreement(before, np.array([3, 1, 1, 2], np.uint8), 3) == 1.0
    assert agreement(before, np.array([0, 1, 0, 2], np.uint8), 3) == pytest.approx((2 / 3 + 1) / 2)
    assert agreement(np.zeros(4, np.uint8), np.zeros(4, np.uint8), 3) == 1.0


# ---- the losses


def logits_and_target(channels: int = 3) -> tuple[torch.Tensor, torch.Tensor]:
    torch.manual_seed(0)
    target = torch.randint(0, channels, (2, 6, 7, 8))
    target[0, 0] = IGNORE
    return torch.randn(2, channels, 6, 7, 8, requires_grad=True), target.float()


def test_with_known_labels_the_partial_loss_is_the_usual_one() -> None:
    logits, target = logits_and_target()
    torch.testing.assert_close(partial_dice_cross_entropy(logits, target), dice_cross_entropy(logits, target))


def test_a_sigmoid_is_a_softmax_beside_zero() -> None:
    logits, target = logits_and_target(2)
    single = (logits[:, 1:] - logits[:, :1]).detach()
    torch.testing.assert_close(partial_dice_cross_entropy(single, target), dice_cross_entropy(logits, target))


def test_background_from_before_a_class_says_nothing_about_that_class() -> None:
    logits = torch.zeros(1, 4, 2, 2)
    target = torch.full((1, 2, 2), -2.0)
    target[0, 0, 0] = 1
    swapped = logits.clone()
    # Between the background and the classes from 2 on probability may move freely.
    swapped[:, 0, 1] += 5
    same = logits.clone()
    same[:, 2, 1] += 5
    torch.testing.assert_close(partial_dice_cross_entropy(swapped, target), partial_dice_cross_entropy(same, target))
    wrong = logits.clone()
    wrong[0, 1, 1] += 5
    assert partial_dice_cross_entropy(wrong, target) > partial_dice_cross_entropy(logits, target)


def test_cases_with_different_numbers_of_classes_can_be_in_one_batch() -> None:
    logits = torch.randn(2, 4, 3, 3, requires_grad=True)
    target = torch.stack((torch.full((3, 3), -2.0), torch.full((3, 3), -3.0)))
    together = partial_dice_cross_entropy(logits, target)
    together.backward()
    assert torch.isfinite(together)
    # The first allows class 2, the second does not.
    assert logits.grad[0, 2].abs().sum() > 0
    assert (logits.grad[1, 2] > 0).all()


def test_nothing_is_learned_where_everything_is_unknown_and_no_teacher_speaks() -> None:
    logits = torch.randn(1, 3, 4, 4, requires_grad=True)
    value = partial_dice_cross_entropy(logits, torch.full((1, 4, 4), float(IGNORE))) + distillation(logits, torch.zeros(1, 3, 4, 4))
    value.backward()
    assert float(logits.grad.abs().max()) == 0


@pytest.mark.parametrize(("channels", "known"), [(3, 3), (5, 3), (1, 2)])
def test_who_says_what_the_teacher_says_pays_next_to_nothing(channels: int, known: int) -> None:
    torch.manual_seed(0)
    logits = 6 * torch.randn(1, channels, 8, 8)
    own = torch.cat((torch.zeros_like(logits), logits), 1) if channels == 1 else logits
    probabilities = own.softmax(1)
    teacher = torch.cat(((probabilities[:, :1] + probabilities[:, known:].sum(1, keepdim=True)), probabilities[:, 1:known]), 1)
    assert float(distillation(logits, teacher)) < 0.02
    assert float(distillation(-logits, teacher)) > 0.5


# ---- what the network sees


class Watching:
    """An engine that keeps what it is shown."""

    name, device = "torch", "cpu"

    def __init__(self, channels: int) -> None:
        self.shown: list[np.ndarray] = []
        self._channels = channels

    def prepare(self, shape: tuple[int, ...]) -> None:
        """There is nothing to do."""

    def __call__(self, batch: np.ndarray) -> np.ndarray:
        self.shown.append(batch[0].copy())
        return np.repeat(batch[:, :1], self._channels, 1)


@pytest.mark.parametrize(
    ("dims", "channels", "facts", "image"),
    [
        (3, 1, {"spacing": (1.5, 1.0, 0.8), "whole": 2.0}, lambda: scan(affine=random_affine(np.random.default_rng(3)))),
        (3, 1, {"window": (32, 32, 32)}, scan),
        (2, 1, {"size": (32, 64)}, lambda: scan(shape=(40, 50))),
        (2, 3, {"size": (64, 32), "intensity": Intensity("scale", 0, 255, (0.4, 0.5, 0.6), (0.2,))}, lambda: scan(shape=(40, 50))),
        (2, 1, {"spacing": (1.0, 1.0), "whole": 1.0}, lambda: scan(affine=random_affine(np.random.default_rng(4)))),
    ],
)
def test_an_unchanged_sample_is_what_the_product_shows_the_network(
    tmp_path: Path, dims: int, channels: int, facts: dict[str, Any], image: Any
) -> None:
    window = facts.pop("window", facts.get("size", (64,) * dims))
    model = small_model(tmp_path / "model", spatial_dims=dims, in_channels=channels, window=window, **facts)
    volume, watching = image(), Watching(3)
    finish(label_with(watching, volume, Request(model)))
    found = list(prepared(volume, None, model))
    assert len(found) == len(watching.shown)
    for case, shown in zip(found, watching.shown, strict=True):
        seen = shown[(slice(None), *(slice(0, n) for n in case.image.shape[1:]))]
        np.testing.assert_allclose(case.image, seen, atol=1e-5)
        centre = [(n - 1) / 2 for n in case.image.shape[1:]]
        sample, target = UNCHANGED(
            torch.from_numpy(case.image),
            torch.from_numpy(case.target).float(),
            size=case.image.shape[1:],
            centre=centre,
            spacing=case.spacing,
            intensity=model.intensity,
            rng=torch.Generator(),
        )
        np.testing.assert_allclose(sample.numpy(), seen, atol=1e-4)
        assert (target == UNKNOWN).all()


def test_a_corrections_target_lies_where_its_image_does(tmp_path: Path) -> None:
    """The image is its own label: wherever the network's grid lies, dark is class 0 and bright is class 1."""
    affine = random_affine(np.random.default_rng(5))
    shape = (30, 34, 38)
    bright = np.zeros(shape, np.int16)
    bright[4:17, 9:30, 5:21] = 100
    model = small_model(tmp_path / "model", spacing=(1.0, 1.3, 0.9))
    (case,) = prepared(Volume(bright, affine), bright // 100, model)
    middle = (case.image.min() + case.image.max()) / 2
    assert ((case.image[0] > middle) == (case.target == 1)).mean() > 0.99
    assert 0 < (case.target == 1).mean() < 0.5


def test_a_volume_for_a_2d_model_gives_the_slices_that_were_checked(tmp_path: Path) -> None:
    store = Store(tmp_path / "store")
    revision = saved(store, 0, checked={0: [3, 4, 9]})
    model = small_model(tmp_path / "model", spatial_dims=2, size=(32, 32))
    found = list(prepared(revision.image(), target_of(revision, THREE), model, name=revision.name))
    assert len(found) == 3
    assert all((case.target != UNKNOWN).any() and case.target.shape == (32, 32) for case in found)


def test_an_image_that_the_model_cannot_take_is_refused(tmp_path: Path) -> None:
    model = small_model(tmp_path / "model")
    with pytest.raises(InputError, match="expected an image in 3D with 1 channel"):
        list(prepared(scan(shape=(20, 20)), None, model))


# ---- random changes


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


def shaded(dims: int, rule: Intensity, towards: int) -> torch.Tensor:
    """A fine texture, brighter towards one end of the first axis or the other, prepared by a rule."""
    size = (48,) * dims
    texture = 0.4 + 0.2 * torch.rand(1, *size, generator=torch.Generator().manual_seed(0))
    ramp = torch.linspace(-1, 1, 48).reshape(1, -1, *(1,) * (dims - 1)).mul(towards).exp()
    unit = texture * ramp / 2
    if rule.rule == "percentile":
        return (unit - unit.mean()) / unit.std()
    return (unit.clamp(0, 1) - rule.mean[0]) / rule.std[0]


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


# ---- samples


class LightMeter:
    """A teacher that notes how bright what it was shown is at its first and at its last plane."""

    name, device = "torch", "cpu"

    def __init__(self, classes: int) -> None:
        self.classes = classes
        self.shown: list[bool] = []

    def prepare(self, shape: tuple[int, ...]) -> None:
        pass

    def __call__(self, batch: np.ndarray) -> np.ndarray:
        self.shown.append(falls(torch.from_numpy(batch[0])))
        return np.zeros((1, self.classes, *batch.shape[2:]), np.float32)


def falls(image: torch.Tensor) -> bool:
    """Whether an image is brighter at the start of its first axis than at the end."""
    parts = image[0].tensor_split(3)
    return bool(parts[0].mean() > parts[-1].mean())


def in_two_lights(model: Any, teacher: LightMeter, mixture: Mixture) -> Sampler:
    """A corrected image that is brighter towards one end, and another image that is brighter towards the other."""
    target = np.ones((48,) * 3, np.int32)
    new, old = (Prepared(str(towards), shaded(3, Intensity(), towards).numpy(), target, (1.0,) * 3) for towards in (1, -1))
    return Sampler([new], [old], model, teacher, UNCHANGED, mixture=mixture)


def test_what_is_rehearsed_is_taught_in_its_own_light_and_shown_in_the_new_one(tmp_path: Path) -> None:
    model = small_model(tmp_path / "model", whole=1.0)
    teacher = LightMeter(model.architecture.out_channels)
    for relit in (0.0, 1.0):
        sampler = in_two_lights(model, teacher, Mixture(1.0, 0.0, relit))
        teacher.shown.clear()
        image, _ = sampler(0)
        assert teacher.shown == [True]
        assert falls(image) == (relit == 0.0)


def test_a_corrected_image_is_shown_in_the_old_light_too(tmp_path: Path) -> None:
    model = small_model(tmp_path / "model", whole=1.0)
    teacher = LightMeter(model.architecture.out_channels)
    sampler = in_two_lights(model, teacher, Mixture(0.0, 1.0, 1.0))
    assert teacher.shown == [False]
    sampler(0)
    # It says "background" throughout, so both tries are given up, and the image is learned from as it is.
    assert teacher.shown == [False, True, True]


def test_a_sample_depends_on_its_number_and_seed_alone(tmp_path: Path) -> None:
    model = small_model(tmp_path / "model", whole=1.0)
    cases = [Prepared(str(n), *numbers(n), (1.0,) * 3) for n in range(3)]

    def sampler(seed: int) -> Sampler:
        teacher = make_engine(model, threads=1)
        return Sampler(cases, cases[:1], model, teacher, augmentation_for(THREE), mixture=Mixture(0.5, 0.5), seed=seed)

    first, second, other = sampler(0), sampler(0), sampler(1)
    for number in (7, 3, 0):
        for one, same in zip(first(number), second(number), strict=True):
            assert torch.equal(one, same)
    assert not torch.equal(first(3)[0], other(3)[0])
    taught = [bool(first(number)[1][1:].sum() > 0) for number in range(12)]
    assert any(taught)
    assert not all(taught)
    for number in range(12):
        target = first(number)[1]
        assert ((target[0] == IGNORE).all() or target[1:].sum() == 0).item()


def numbers(seed: int, shape: tuple[int, int, int] = (40, 36, 30)) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    return rng.normal(0, 1, (1, *shape)).astype(np.float32), rng.integers(0, 3, shape).astype(np.int16)


def test_small_images_are_seen_whole_and_large_ones_in_windows(tmp_path: Path) -> None:
    model = small_model(tmp_path / "model", window=(128, 128, 128))
    # Most of a stride beyond a multiple is left to chance, because nearly twice the voxels would be margin for the most part.
    assert window_of(model, [(60, 67, 61)]) == (32, 64, 64)
    assert window_of(model, [(48, 64, 48), (48, 64, 48), (90, 90, 90)]) == (32, 64, 32)
    assert window_of(model, [(20, 20, 20)]) == (32, 32, 32)
    assert np.prod(window_of(model, [(300, 300, 300)])) <= 1_200_000
    assert all(n % 32 == 0 for n in window_of(model, [(300, 300, 300)]))
    # A norm by the image's own statistics wants to see more of it, and needs more than one voxel at the bottom of the network.
    other = small_model(tmp_path / "other", norm="instance", window=(128, 128, 128))
    assert window_of(other, [(47, 67, 47)]) == (64, 64, 64)
    # The window of `brain-anatomy`, in a head.
    assert window_of(small_model(tmp_path / "anatomy", norm="instance", window=(96, 128, 96)), [(140, 150, 130)]) == (96, 128, 96)
    assert max(window_of(other, [(20, 20, 20)])) == 64


def test_a_window_of_a_large_image_mostly_shows_something(tmp_path: Path) -> None:
    model = small_model(tmp_path / "model", window=(32, 32, 32))
    image = np.zeros((1, 90, 90, 90), np.float32)
    target = np.zeros(image.shape[1:], np.int16)
    target[70:74, 10:14, 40:44] = 1
    sampler = Sampler([Prepared("", image, target, (1.0,) * 3)], [], model, None, UNCHANGED, mixture=Mixture(0, 0))
    shown = [bool((sampler(number)[1][0] == 1).any()) for number in range(20)]
    assert 10 < sum(shown) < 20


# ---- the network


@pytest.mark.parametrize("norm", ["batch", "instance"])
@pytest.mark.parametrize(("classes", "wanted"), [(3, 3), (3, 5), (2, 3)])
def test_a_network_with_further_classes_labels_as_before(tmp_path: Path, norm: str, classes: int, wanted: int) -> None:
    model = small_model(tmp_path / "model", classes=classes, norm=norm)
    image = torch.randn(1, 1, 64, 32, 32)
    before = torch.from_numpy(make_engine(model, threads=1)(image.numpy()))
    with torch.inference_mode():
        after = network_of(model, model.architecture.out_channels if wanted == classes else wanted).eval()(image)
    labels = before[:, 0] > 0 if before.shape[1] == 1 else before.argmax(1)
    differ = (labels.long() != after.argmax(1)).float().mean()
    assert float(differ) < 1e-3


def test_frozen_statistics_stay_and_the_rest_learns(tmp_path: Path) -> None:
    network = network_of(small_model(tmp_path / "model"), 3)
    freeze_statistics(network)
    before = {name: value.copy() for name, value in weights_of(network).items()}
    optimizer = torch.optim.SGD(network.parameters(), lr=1.0)
    network.train()
    network(torch.randn(1, 1, 32, 32, 32)).square().mean().backward()
    optimizer.step()
    after = weights_of(network)
    statistics = {name for name in after if "running" in name}
    assert statistics
    assert all(np.array_equal(before[name], after[name]) for name in statistics)
    assert sum(not np.array_equal(before[name], after[name]) for name in set(after) - statistics) > 50


def test_frozen_statistics_are_those_of_the_product(tmp_path: Path) -> None:
    network = network_of(small_model(tmp_path / "model"), 3)
    image = torch.randn(1, 1, 32, 32, 32)
    with torch.inference_mode():
        expected = network.eval()(image)
        freeze_statistics(network)
        torch.testing.assert_close(network.train()(image), expected, atol=1e-4, rtol=1e-4)


def test_weights_between_two_networks() -> None:
    parent, child = {"a": np.zeros(3, np.float32)}, {"a": np.ones(3, np.float32)}
    np.testing.assert_allclose(blended(parent, child, 0.25)["a"], 0.25)
    assert isinstance(UltraLightUNet(), torch.nn.Module)


# ---- images outside the corrections


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


def test_nothing_of_this_needs_torch_to_be_imported(root: Path) -> None:
    import subprocess
    import sys

    code = "import sys, ultralightunet.retraining, ultralightunet.new_task, ultralightunet.child; print(*sys.modules)"
    found = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True, cwd=root)
    assert "torch" not in found.stdout.split()
