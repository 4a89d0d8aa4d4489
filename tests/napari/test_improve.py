"""The whole loop in a real window: segment, paint, save, retrain, segment again; and what is said where that cannot be."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from qtpy.QtWidgets import QFileDialog

from napari_ultralight.improve import improve
from napari_ultralight.improve.curve import Curve
from napari_ultralight.improve.version_list import score_of
from tests.napari.conftest import add_labels, answer, blobs, choose_model, click_segment, grey, labels_in, messages, until
from tests.small_models import small_model
from ultralightunet.child import run_child
from ultralightunet.corrections import Revision, Store, default_store
from ultralightunet.events import Epoch
from ultralightunet.models import load_model, set_current, versions

needs_torch = pytest.mark.skipif(find_spec("torch") is None, reason="needs torch to train")


def save_one(viewer: Any, dock: Any, qtbot: Any) -> Any:
    """A corrected case in the store of the small model."""
    labels = add_labels(viewer, blobs())
    labels.data_setitem(np.nonzero(labels.data == 2), 1)
    save_to_learn_from(dock, qtbot, "small")
    return labels


def save_to_learn_from(dock: Any, qtbot: Any, model: str) -> Revision:
    """Click Save correction; the first of a store is never held out."""
    dock.save.expand()
    dock.save.save.native.click()
    until(qtbot, lambda: not dock.save.is_running)
    (revision,) = Store(default_store(model)).cases()
    assert revision.role == "train"
    return revision


@pytest.mark.slow
@needs_torch
def test_segment_paint_save_retrain_and_segment_with_what_was_learned(
    open_dock: Any, qtbot: Any, models: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # With voxels of 8 mm the sample scans, on which the versions are compared, are small as well.
    small_model(models / "coarse" / "1.0.0", seed=3, name="coarse", spacing=(8.0, 8.0, 8.0))
    viewer, dock = open_dock(show=True)
    dock.model.reload()
    choose_model(dock, "coarse")
    image = viewer.add_image(grey((32, 32, 32)), name="scan", scale=(8, 8, 8), units="mm")
    click_segment(dock, qtbot)
    (labels,) = labels_in(viewer)
    before = labels.data.copy()
    labels.selected_label = 2
    labels.n_edit_dimensions = 3
    labels.brush_size = 15
    labels.paint((16, 16, 16), 2)
    revision = save_to_learn_from(dock, qtbot, "coarse")
    assert np.array_equal(revision.labels().labels, labels.data)
    assert np.array_equal(revision.prediction().labels, before)
    asked = answer("Use it")
    dock.improve.expand()
    monkeypatch.setattr(improve, "run_child", lambda arguments: run_child([*arguments, "--steps", "20"]))
    dock.improve.retrain.native.click()
    assert dock.improve.cancel.enabled
    until(qtbot, lambda: not dock.improve.is_running)
    assert dock.improve.curve.losses, dock.improve.status
    new = load_model("coarse")
    if asked:
        assert new.parent == "coarse@1.0.0"
        assert dock.model.model.id == new.id
        dock.image.widget.value = image
        click_segment(dock, qtbot)
        assert labels_in(viewer)[-1].metadata["ultralight"]["model"] == new.id
    else:
        # It differs too much from the version before elsewhere, and is told so, with figures.
        assert "stays in use" in dock.improve.status
        assert new.id == "coarse@1.0.0"
    assert len(versions("coarse")) == 2
    assert [row[2] for row in dock.improve.versions.rows()] == ["-", "1"]


@needs_torch
def test_cancel_ends_the_training_and_changes_nothing(open_dock: Any, qtbot: Any) -> None:
    viewer, dock = open_dock()
    save_one(viewer, dock, qtbot)
    dock.improve.expand()
    dock.improve.retrain.native.click()
    # Its process is at work.
    until(qtbot, lambda: "Preparing" in dock.improve.status)
    dock.improve.cancel.native.click()
    until(qtbot, lambda: not dock.improve.is_running)
    assert "Cancelled" in dock.improve.status
    assert dock.improve.retrain.enabled
    assert len(versions("small")) == 1
    assert messages() == []


def test_a_folder_of_other_images_goes_to_the_retraining_until_it_is_forgotten(
    open_dock: Any, qtbot: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    viewer, dock = open_dock()
    save_one(viewer, dock, qtbot)
    dock.improve.expand()
    asked: list[list[str]] = []

    def run(arguments: list[str]) -> Any:
        asked.append(arguments)
        return iter(())

    monkeypatch.setattr(improve, "run_child", run)
    monkeypatch.setattr(improve, "find_spec", lambda name: object())
    monkeypatch.setattr(QFileDialog, "getExistingDirectory", lambda *_: str(tmp_path))
    dock.improve.others.choose.native.click()
    assert dock.improve.others.folder == tmp_path
    for expected in (["--images", str(tmp_path)], []):
        dock.improve._job.start = lambda steps: steps()
        dock.improve.start()
        assert asked[-1][6:] == expected
        dock.improve.others.forget.native.click()
    assert dock.improve.others.folder is None


def test_without_torch_or_corrections_the_next_step_is_said(open_dock: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    _, dock = open_dock()
    monkeypatch.setattr(improve, "find_spec", lambda name: object())
    dock.improve.start()
    assert "save them first" in messages()[-1]
    monkeypatch.setattr(improve, "find_spec", lambda name: None)
    dock.improve.start()
    assert "pip install" in messages()[-1]
    assert not dock.improve.is_running


def test_the_corrections_are_counted_by_what_they_are_for(open_dock: Any, qtbot: Any) -> None:
    viewer, dock = open_dock()
    dock.improve.expand()
    until(qtbot, lambda: "No corrections for small" in dock.improve._count.text())
    save_one(viewer, dock, qtbot)
    dock.improve.expand()
    until(qtbot, lambda: "1 corrected image for small: 1 to learn from, none yet held out" in dock.improve._count.text())


def test_any_version_is_one_click_away(open_dock: Any, models: Path) -> None:
    _, dock = open_dock()
    scores = {"Dice on held-out corrections": {"cases": 3, "mean": 0.8125, "parent": 0.7}}
    cases = [{"case": name, "revision": 1, "use": "train", "image_sha256": name * 64} for name in "ab"]
    small_model(models / "small" / "1.0.0+r1", seed=4, version="1.0.0+r1", parent="small@1.0.0", scores=scores, origin={"cases": cases})
    set_current("small", "1.0.0+r1")
    dock.model.reload()
    assert dock.model.model.id == "small@1.0.0+r1"
    dock.improve.expand()
    assert [row[:2] for row in dock.improve.versions.rows()] == [("1.0.0", "-"), ("1.0.0+r1 ✓", "0.700 → 0.812")]
    dock.improve.versions.select(1)
    assert not dock.improve.versions.button.enabled
    assert dock.improve.versions.origin == "Made from small@1.0.0 with 2 cases."
    dock.improve.versions.select(0)
    dock.improve.versions.button.native.click()
    assert load_model("small").version == "1.0.0"
    assert dock.model.model.id == "small@1.0.0"
    assert dock.improve.versions.rows()[0][0] == "1.0.0 ✓"


def test_a_version_shows_the_figure_that_tells_most() -> None:
    assert score_of({}) == "-"
    assert score_of({"Dice on validation cases": {"cases": 44, "mean": 0.8569}}) == "0.857"
    estimate = {"Dice by cross-validation, an estimate": {"cases": 2, "mean": 0.9, "parent": 0.8}}
    assert score_of(estimate) == "~0.800 → 0.900"
    assert score_of({**estimate, "Dice on held-out corrections": {"mean": 0.7}, "Agreement": {"mean": 1}}) == "0.700"


def test_the_curve_draws_what_it_is_given(qtbot: Any) -> None:
    curve = Curve()
    qtbot.addWidget(curve)
    curve.resize(300, 130)
    empty = curve.grab().toImage()
    for step in (10, 20, 30):
        curve.add(Epoch(step, 30, 1 / step, {"validation Dice": step / 40}))
    assert curve.scores == [(10, 0.25), (20, 0.5), (30, 0.75)]
    assert curve.grab().toImage() != empty
    curve.add(Epoch(5, 30, float("nan"), {}))
    assert curve.losses == []
