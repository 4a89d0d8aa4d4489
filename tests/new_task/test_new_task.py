"""A first model is made from a folder of labelled images: its network follows from the data, and an interrupted training goes on."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.damage import damaged_json
from tests.tiny_task import QUICK, disc_model, picture, write_dataset
from ultralightunet import InputError, LabelClass, ModelError, Segmentation, load_model, segment
from ultralightunet.errors import TrainingError
from ultralightunet.events import Epoch, finish
from ultralightunet.io import write_labels
from ultralightunet.new_task import Wishes, chosen_model, fingerprint_of, read_dataset, train, training


@pytest.mark.slow
def test_a_folder_of_pictures_becomes_a_model_that_labels_others() -> None:
    model = load_model(disc_model().folder)
    image, labels = picture(1)
    found = segment(image, model).labels
    assert 2 * (found * labels.labels).sum() / (found.sum() + labels.labels.sum()) > 0.8
    assert [entry.name for entry in model.classes] == ["background", "disc"]
    assert model.scores["Dice on validation cases"]["cases"] == 4


@pytest.mark.slow
def test_pytorchs_launcher_trains_one_model_in_two_processes(tmp_path: Path) -> None:
    data, folder = write_dataset(tmp_path / "data", 16), tmp_path / "discs"
    launcher = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2", "-m", "ultralightunet"]
    wishes = (
        f"--variant T --steps {QUICK.steps} --batch-size 4 --learning-rate 0.03 --threads 1 --modality photo --classes disc --device cpu"
    )
    done = subprocess.run(
        [*launcher, "train", str(data), "-o", str(folder), *wishes.split(), "--json"],
        cwd=Path(__file__).parents[2],
        capture_output=True,
        text=True,
        timeout=900,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    events = [json.loads(line) for line in done.stdout.splitlines()]
    # The second process learns along and says nothing.
    assert [event["event"] for event in events].count("result") == 1
    assert events[-1]["scores"]["Dice on validation cases"]["mean"] > 0.8
    assert sorted(path.name for path in tmp_path.iterdir()) == ["data", "discs"]


def test_an_interrupted_training_goes_on_and_only_with_the_same_data(tmp_path: Path) -> None:
    data, folder, wishes = write_dataset(tmp_path / "data", 4), tmp_path / "model", replace(QUICK, steps=20)
    work = training(data, folder, wishes, classes=("disc",))
    first = next(event for event in work if isinstance(event, Epoch))
    work.close()
    assert not folder.exists()
    with pytest.raises(TrainingError, match="expected the training that was interrupted"):
        train(data, folder, replace(wishes, seed=1), classes=("disc",))
    events: list[Any] = []
    model = finish(training(data, folder, wishes, classes=("disc",)), events.append)
    steps = [event.step for event in events if isinstance(event, Epoch)]
    assert steps[0] > first.step
    assert steps[-1] == 20
    assert model.folder == folder
    assert sorted(path.name for path in tmp_path.iterdir()) == ["data", "model"]


def test_a_model_is_never_written_over_another(tmp_path: Path) -> None:
    (tmp_path / "model").mkdir()
    with pytest.raises(ModelError, match="expected a new folder"):
        train(write_dataset(tmp_path / "data", 2), tmp_path / "model", QUICK)


def test_what_is_wished_for_comes_before_what_the_data_suggest(tmp_path: Path) -> None:
    data = read_dataset(write_dataset(tmp_path / "data", 3))
    found = finish(fingerprint_of(data))
    plain = chosen_model(found, data, Wishes(), tmp_path / "model")
    assert (plain.size, plain.architecture.spatial_dims, plain.intensity.rule) == ((64, 64), 2, "scale")
    wished = Wishes(variant="T", size=(96, 64), window=(32, 32), norm="instance", intensity="percentile", name="mine")
    other = chosen_model(found, data, wished, tmp_path / "model")
    assert (other.size, other.window, other.architecture.norm, other.intensity.rule, other.name) == (
        (96, 64), (32, 32), "instance", "percentile", "mine",
    )  # fmt: skip
    assert other.architecture.channels != plain.architecture.channels


def raw_dataset(folder: Path, **facts: Any) -> Path:
    """nnU-Net's layout: one volume with labels 0, 1, and 2 to be ignored, its voxels thick along one axis."""
    for name in ("imagesTr", "labelsTr"):
        (folder / name).mkdir(parents=True)
    rng = np.random.default_rng(0)
    affine, classes = np.diag([1.0, 1.0, 5.0, 1.0]), tuple(LabelClass(n, f"{n}") for n in range(256))
    image = rng.integers(0, 255, (12, 40, 40)).astype(np.uint8)
    labels = np.zeros(image.shape, np.uint8)
    labels[4:8, 10:20, 10:20], labels[:2] = 1, 2
    write_labels(Segmentation(image, affine, classes), folder / "imagesTr" / "a_0000.nii.gz")
    write_labels(Segmentation(labels, affine, classes), folder / "labelsTr" / "a.nii.gz")
    told = {"channel_names": {"0": "MR"}, "labels": {"background": 0, "cyst": 1, "ignore": 2}, "file_ending": ".nii.gz", "numTraining": 1}
    (folder / "dataset.json").write_text(json.dumps({**told, **facts}))
    return folder


def test_a_raw_dataset_of_nnunet_tells_classes_spacing_and_what_does_not_count(tmp_path: Path) -> None:
    data = read_dataset(raw_dataset(tmp_path / "data"))
    target = data.target(data.cases[0], data.cases[0].image())
    assert {int(value) for value in np.unique(target)} == {0, 1, 255}
    model = chosen_model(finish(fingerprint_of(data)), data, Wishes(), tmp_path / "model")
    assert [entry.name for entry in model.classes] == ["background", "cyst"]
    assert (model.spatial_dims, model.spacing, model.modality) == (3, (5.0, 1.0, 1.0), "MR")
    assert all(size % 32 == 0 for size in model.window)


def test_a_volume_trains_a_model_that_can_be_used_at_once(tmp_path: Path) -> None:
    data = raw_dataset(tmp_path / "data")
    model = train(data, tmp_path / "cysts", Wishes(variant="T", steps=2, threads=1, device="cpu"))
    found = segment(data / "imagesTr" / "a_0000.nii.gz", load_model(tmp_path / "cysts"))
    assert found.labels.shape == (12, 40, 40)
    assert model.name == "cysts"
    assert dict(model.scores) == {}


def test_hounsfield_units_are_windowed_by_what_is_labelled(tmp_path: Path) -> None:
    data = read_dataset(raw_dataset(tmp_path / "data", channel_names={"0": "CT"}))
    found = finish(fingerprint_of(data))
    chosen = chosen_model(found, data, Wishes(), tmp_path / "model").intensity
    assert (chosen.rule, chosen.low, chosen.high) == ("window", found.low, found.high)


@pytest.mark.parametrize(
    ("facts", "expected"),
    [
        ({"labels": {"background": 0, "cyst": 3}}, "number them without gaps"),
        ({"labels": {"background": 0, "both": [1, 2]}}, "found regions of several"),
        ({"labels": {"background": 0, "cyst": 1}}, "expected labels of the known classes .* found 2"),
        ({"channel_names": {"0": "T1", "1": "T2"}}, "expected the image a_0001.nii.gz beside the labels"),
        ({"channel_names": []}, "found a damaged file"),
        ({"channel_names": {}}, "found a damaged file"),
        ({"channel_names": {"first": "MR"}}, "found a damaged file"),
        ({"labels": [0, 1]}, "found a damaged file"),
        ({"labels": {"background": 0, "cyst": True}}, "found regions of several"),
        ({"labels": {"background": 0, "cyst": 1, "ignore": 1}}, "expected a label above 1 for what does not count"),
        ({"labels": {"background": 0, "cyst": 1, "ignore": -1}}, "expected a label above 1 for what does not count"),
        ({"file_ending": "/../../x"}, "found a damaged file"),
        ({"file_ending": 7}, "found a damaged file"),
        ({"dataset": []}, "found a damaged list"),
        ({"dataset": {"a": {"images": [], "label": "labelsTr/a.nii.gz"}}}, "has 0 images for 1 channels"),
        ({"dataset": {"a": {"images": ["imagesTr/a_0000.nii.gz"]}}}, "found a damaged list"),
        ({"dataset": {"a": {"images": [3], "label": "labelsTr/a.nii.gz"}}}, "found a damaged list"),
        ({"dataset": {"a": {"images": ["../elsewhere/scan.nii.gz"], "label": "labelsTr/a.nii.gz"}}}, "expected files inside"),
        ({"dataset": {"a": {"images": ["imagesTr/a_0000.nii.gz"], "label": "/etc/passwd"}}}, "expected files inside"),
        ({"dataset": {"a": {"images": ["imagesTr/gone.nii.gz"], "label": "labelsTr/a.nii.gz"}}}, "gone.nii.gz"),
    ],
    ids=str,
)
def test_a_dataset_that_contradicts_itself_is_refused_in_one_sentence(tmp_path: Path, facts: dict[str, Any], expected: str) -> None:
    with pytest.raises(InputError, match=expected):
        train(raw_dataset(tmp_path / "data", **facts), tmp_path / "model", QUICK)
    assert not (tmp_path / "model").exists()


@settings(max_examples=80)
@given(data=st.data())
def test_a_damaged_dataset_never_ends_in_anything_but_a_sentence(tmp_path_factory: pytest.TempPathFactory, data: st.DataObject) -> None:
    folder = raw_dataset(tmp_path_factory.mktemp("damaged") / "data")
    path = folder / "dataset.json"
    facts = json.loads(path.read_text())
    if data.draw(st.booleans()):
        facts["dataset"] = {"a": {"images": ["imagesTr/a_0000.nii.gz"], "label": "labelsTr/a.nii.gz"}}
    path.write_bytes(data.draw(damaged_json(facts)))
    said = ""
    try:
        found = read_dataset(folder)
        for case in found.cases:
            found.target(case, case.image())
    except InputError as error:
        said = str(error)
    assert "\n" not in said


@pytest.mark.parametrize("missing", ["masks", "masks/01.png"])
def test_a_folder_without_all_its_masks_is_refused(tmp_path: Path, missing: str) -> None:
    data = write_dataset(tmp_path / "data", 2)
    (data / missing).rename(tmp_path / "elsewhere")
    with pytest.raises(InputError, match=r"expected .* (found neither|found none)"):
        train(data, tmp_path / "model", QUICK)


@pytest.mark.slow
def test_it_starts_from_a_model_and_keeps_to_its_network(tmp_path: Path) -> None:
    data, start = write_dataset(tmp_path / "data", 2), disc_model()
    wishes = Wishes(init=str(start.folder), steps=1, threads=1, device="cpu")
    model = train(data, tmp_path / "model", wishes)
    assert model.parent == start.id
    assert model.architecture.channels == start.architecture.channels
    with pytest.raises(InputError, match="found others asked for"):
        train(data, tmp_path / "other", replace(wishes, variant="L"))
