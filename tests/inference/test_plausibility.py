"""A wrong kind of image is doubted before it is segmented, and an impossible volume afterwards; a right one is not."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.small_models import small_model
from ultralightunet.events import finish
from ultralightunet.inference.plausibility import doubts_after, doubts_before, kind_of
from ultralightunet.inference.session import Request, Session
from ultralightunet.io import read_image
from ultralightunet.models import Model, load_model, read_model
from ultralightunet.volume import Segmentation, Source, Volume


@pytest.fixture
def model(tmp_path: Path) -> Model:
    """Of MR images, at 2 mm, seen whole up to 64^3."""
    return small_model(tmp_path / "small", spacing=(2.0,) * 3, window=(64, 64, 64), whole=0.3, plausible_ml={1: (5.0, 50.0)})


def scan(shape: tuple[int, ...] = (64, 64, 64), mm: float = 2.0, **facts: Any) -> Volume:
    values = np.random.default_rng(0).integers(0, 900, shape).astype(np.int16)
    return Volume(values, np.diag([mm, mm, mm, 1.0]), **facts)


def in_hounsfield_units(shape: tuple[int, ...] = (40, 64, 64), outside: int = -1000) -> Volume:
    """Air around a ball of water with bone in it; scanners fill what lies outside of their field with one value."""
    axes = np.ogrid[tuple(slice(-1, 1, complex(n)) for n in shape)]
    radius = np.sqrt(sum(axis**2 for axis in axes))
    values = np.where(radius < 0.2, 900, np.where(radius < 0.7, 40, -1000)).astype(np.int16)
    values[radius > 1.2] = outside
    return Volume(values, np.diag([2.0, 2.0, 2.0, 1.0]))


@pytest.mark.parametrize("outside", [-1000, -2048, -3024])
def test_hounsfield_units_tell_a_ct(outside: int, model: Model) -> None:
    image = in_hounsfield_units(outside=outside)
    assert kind_of(image) == "CT"
    (doubt,) = doubts_before(image, model)
    assert doubt.startswith("expected MR images for small, found CT")
    assert doubts_before(image, replace(model, modality="CT of the chest")) == ()


def test_other_values_tell_nothing() -> None:
    assert kind_of(scan()) == ""
    z_scores = Volume(np.random.default_rng(0).normal(0, 1, (20, 20, 20)).astype(np.float32))
    phase = Volume(np.random.default_rng(0).integers(-4096, 4096, (20, 20, 20)).astype(np.int16))
    assert kind_of(z_scores) == kind_of(phase) == ""


@pytest.mark.parametrize(
    ("told", "card", "is_doubted"),
    [
        ("MR", "MR (T1)", False),
        ("CT", "MR (T1)", True),
        ("US", "endoscopy", True),
        ("ES", "endoscopy", False),
        ("OT", "MR", False),
        ("CT", "", False),
    ],
)
def test_a_dicom_headers_modality_is_held_against_the_models(model: Model, told: str, card: str, is_doubted: bool) -> None:
    image = scan(source=Source(None, "dicom", {"modality": told}))
    found = doubts_before(image, replace(model, modality=card))
    assert any(told in doubt for doubt in found) == is_doubted


def test_a_grey_picture_is_doubted_by_a_model_of_colours(model: Model) -> None:
    flat = replace(model, architecture=replace(model.architecture, spatial_dims=2, in_channels=3), modality="endoscopy", spacing=None)
    grey = Volume(np.zeros((64, 64), np.uint8), has_spacing=False)
    colour = Volume(np.zeros((64, 64, 3), np.uint8), channels=3, has_spacing=False)
    (doubt,) = doubts_before(grey, flat)
    assert "in grey" in doubt
    assert doubts_before(colour, flat) == ()
    # Refused, which is enough.
    assert doubts_before(colour, model) == ()


def test_a_scan_is_doubted_by_a_model_of_pictures() -> None:
    (doubt,) = doubts_before(scan(), load_model("breast-lesion"))
    assert "volume of 128 x 128 x 128 mm" in doubt
    assert doubts_before(Volume(np.zeros((256, 256), np.uint8), has_spacing=False), load_model("breast-lesion")) == ()


def test_a_model_of_crops_asks_for_a_box_in_a_whole_head() -> None:
    head, model = scan((181, 217, 181), mm=1.0), load_model("hippocampus")
    (doubt,) = doubts_before(head, model)
    assert "found one of 181 x 217 x 181 mm; draw a box" in doubt
    assert doubts_before(head, model, box=((60, 95), (80, 130), (40, 75))) == ()
    assert doubts_before(scan((35, 50, 35), mm=1.0), model) == ()


def test_far_too_much_and_far_too_little_of_the_body_is_doubted(model: Model) -> None:
    assert doubts_before(scan(), model) == ()
    (large,) = doubts_before(scan((200, 200, 200)), model)
    (small,) = doubts_before(scan((20, 20, 20)), model)
    assert "found one of 400 x 400 x 400 mm" in large
    assert "found only 40 x 40 x 40 mm" in small


def test_a_volume_that_no_such_structure_has_is_doubted(model: Model) -> None:
    labels = np.zeros((64, 64, 64), np.uint8)
    labels[:20, :20, :20] = 1
    made = Segmentation(labels, np.diag([2.0, 2.0, 2.0, 1.0]), model.classes)
    (doubt,) = doubts_after(made, model)
    assert doubt.startswith("expected 5 to 50 ml of part 1, found 64.0 ml")
    labels[10:] = 0
    assert doubts_after(made, model) == ()
    labels[:] = 0
    assert len(doubts_after(made, model)) == 1
    # A box may cut anything short.
    assert doubts_after(made, model, box=((0, 4), (0, 4), (0, 4))) == ()


def test_a_run_keeps_its_doubts_and_what_was_asked_for(model: Model) -> None:
    box = ((4, 40), (0, 64), (0, 64))
    facts = finish(Session().segment(in_hounsfield_units(), Request(model, box=box))).facts
    assert "found CT" in facts["doubts"][0]
    assert facts["box"] == [list(side) for side in box]


def test_limits_are_kept_in_the_models_folder(model: Model) -> None:
    assert read_model(model.folder).plausible_ml == {1: (5.0, 50.0)}
    assert load_model("brain").plausible_ml == {1: (500.0, 2500.0)}


def test_the_sample_head_is_what_the_head_models_were_made_for(sample_data: Path) -> None:
    head = read_image(sample_data / "colin27_t1.nii.gz")
    for name in ("brain", "brain-anatomy"):
        model = load_model(name)
        assert doubts_before(head, model) == ()
        assert doubts_after(finish(Session().segment(head, Request(model))), model) == ()
