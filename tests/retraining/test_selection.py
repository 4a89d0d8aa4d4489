"""Who trains, and which classes are learned."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from tests.retraining.corrected_noise import THREE, TWO, saved, scan
from tests.small_models import random_weights, small_model
from ultralightunet import InputError, LabelClass, Segmentation
from ultralightunet.corrections import Store
from ultralightunet.models import install_model, write_model
from ultralightunet.retraining.selection import select


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
