"""Models bring a few labelled images along, which show by truth what a new version has forgotten."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tests.retraining.test_retraining import GENTLE, asked
from tests.tiny_task import corrected, disc_model, picture
from ultralightunet import InputError, LabelClass, ModelError, load_model
from ultralightunet.corrections import Store
from ultralightunet.models import SHIPPED, Model, read_model, write_model
from ultralightunet.retraining import exemplars as exemplars_module
from ultralightunet.retraining import retrain
from ultralightunet.retraining.exemplars import FOLDER, LIST, MOST_BYTES, Pair, exemplars_of, listed
from ultralightunet.retraining.run import _Work
from ultralightunet.retraining.selection import Selection


def pairs(folder: Path, count: int, *, wrong: bool = False) -> list[Pair]:
    """Bright discs with their labels, or with the opposite."""
    found = []
    for number in range(count):
        image, labels = picture(4000 + number)
        Image.fromarray(image.array).save(folder / f"{number}.png")
        Image.fromarray((1 - labels.labels if wrong else labels.labels) * 255).save(folder / f"{number}_labels.png")
        found.append(Pair(folder / f"{number}.png", folder / f"{number}_labels.png"))
    return found


def with_exemplars(folder: Path, count: int = 4, *, wrong: bool = False) -> Model:
    """The model of discs, with some brought along."""
    place = folder / "pairs"
    place.mkdir()
    files = listed(pairs(place, count, wrong=wrong), licence="CC0-1.0", source="painted")
    model = disc_model()
    return write_model(folder / "discs", model, model.weights(), licence_text="none", files=files)


def test_a_model_says_what_it_brings_along_and_under_which_licence(tmp_path: Path) -> None:
    model = with_exemplars(tmp_path)
    found = list(exemplars_of(model))
    assert [exemplar.name for exemplar in found] == ["0.png", "1.png", "2.png", "3.png"]
    for number, exemplar in enumerate(found):
        image, labels = picture(4000 + number)
        assert np.array_equal(exemplar.image.array, image.array)
        assert np.array_equal(exemplar.target, labels.labels)
    assert json.loads((model.folder / LIST).read_text())["licence"] == "CC0-1.0"
    assert list(exemplars_of(disc_model())) == []


def test_too_much_to_travel_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(exemplars_module, "MOST_BYTES", 1000)
    with pytest.raises(InputError, match="expected at most .* MB of exemplars"):
        with_exemplars(tmp_path)


@pytest.mark.parametrize("damage", ["a byte", "gone", "the list", "a name from elsewhere"])
def test_a_damaged_exemplar_is_named_and_never_used(tmp_path: Path, damage: str) -> None:
    model = with_exemplars(tmp_path)
    image, path = model.folder / FOLDER / "2.png", model.folder / LIST
    if damage == "a byte":
        image.write_bytes(image.read_bytes()[:-1] + b"x")
    elif damage == "gone":
        image.unlink()
    elif damage == "the list":
        path.write_text(path.read_text()[:-20])
    else:
        path.write_text(path.read_text().replace('"2.png"', '"../2.png"'))
    with pytest.raises(ModelError, match="expected the labelled images that discs@1.0.0 brings along in .* install the model again"):
        list(exemplars_of(model))


def test_a_new_version_brings_them_along_and_is_judged_by_them(tmp_path: Path) -> None:
    store = Store(tmp_path / "store")
    corrected(store, range(4), faint=False)
    outcome = retrain(store, with_exemplars(tmp_path), asked(4, GENTLE))
    assert outcome.exemplars is not None
    # The others rehearse.
    assert outcome.exemplars.cases == 2
    assert outcome.exemplars.parent > 0.8
    assert "Dice on 2 labelled images that it knew" in outcome.sentence
    assert outcome.decision == "promoted", outcome.sentence
    again = [exemplar.sha256 for exemplar in exemplars_of(read_model(outcome.model.folder))]
    assert again == [exemplar.sha256 for exemplar in exemplars_of(outcome.model)]
    assert len(again) == 4


@pytest.mark.slow
def test_a_version_that_forgot_is_kept_aside_whatever_it_learned(tmp_path: Path) -> None:
    store = Store(tmp_path / "store")
    corrected(store, range(5), faint=False, wrong=True)
    outcome = retrain(store, with_exemplars(tmp_path), asked(60))
    assert outcome.decision == "kept"
    assert outcome.exemplars is not None
    assert outcome.exemplars.candidate < outcome.exemplars.parent - 0.1
    assert load_model("discs").version == "1.0.0"


def test_a_users_own_model_is_judged_by_the_cases_that_it_learned_from_before(tmp_path: Path) -> None:
    store = Store(tmp_path / "store")
    corrected(store, range(2), faint=False)
    first = retrain(store, disc_model(), asked(2, GENTLE))
    assert first.exemplars is None
    assert "brings no labelled images along" in first.sentence
    corrected(store, range(10, 12), faint=False)
    second = retrain(store, first.model, asked(2, GENTLE))
    assert second.exemplars is not None
    assert second.exemplars.cases == 2


def test_an_exemplar_that_is_also_a_correction_is_left_out(tmp_path: Path) -> None:
    model, store = with_exemplars(tmp_path), Store(tmp_path / "store")
    corrected(store, range(4000, 4001), faint=False)
    outcome = retrain(store, model, asked(1, GENTLE))
    assert outcome.exemplars is not None
    # Of the three that are left the first and the last measure.
    assert outcome.exemplars.cases == 2


def test_a_new_class_may_lie_where_an_exemplar_says_background(tmp_path: Path) -> None:
    model = with_exemplars(tmp_path)
    classes = (*model.classes, LabelClass(2, "stripe"))
    work = _Work(model, Selection((), (), (), classes), asked(1))
    work._prepare_exemplars(())
    assert {int(value) for case in work.labelled for value in np.unique(case.target)} == {-2, 1}


@pytest.mark.parametrize("name", sorted(path.name for path in SHIPPED.iterdir() if (path / "configs").is_dir()))
def test_every_shipped_model_brings_some_along_with_licence_and_source(name: str) -> None:
    model = read_model(SHIPPED / name)
    facts = json.loads((model.folder / LIST).read_text())
    assert facts["licence"]
    assert facts["source"]
    assert sum(path.stat().st_size for path in (model.folder / FOLDER).iterdir()) <= MOST_BYTES
    found = list(exemplars_of(model))
    assert len(found) >= 3
    for exemplar in found:
        assert exemplar.image.spatial_dims == model.spatial_dims
        assert exemplar.target.any()
