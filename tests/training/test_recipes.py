"""The recipes of the models of pictures, from their files to a model."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

from tests.small_models import small_model
from ultralightunet.io import read_image
from ultralightunet.learning.losses import dice_cross_entropy
from ultralightunet.learning.training import Plan
from ultralightunet.models import read_model
from ultralightunet.networks import UltraLightUNet

pytestmark = pytest.mark.usefixtures("one_thread")


def test_grey_values_of_breast_lesion_become_three_equal_channels(script, shared: Path) -> None:
    recipe, pictures = script("breast_lesion"), script("pictures")
    training = recipe.task(shared / "data" / "busi", Path("none"), "B").training[:2]
    loaded = [pictures.load(path, channels=1) for path in training]
    sampler = pictures.Sampler(loaded, recipe.AUGMENTATION, recipe.model_facts(Path("none"), "B"), batch_size=1, scales=(0.75, 1.0, 1.25))
    for number, side in enumerate((192, 256, 320)):
        image, mask = sampler(number)
        assert image.shape == (3, side, side)
        assert mask.shape == (side, side)
        assert torch.equal(image[0], image[2])


def test_a_loaded_frame_is_the_file(script, shared: Path) -> None:
    pictures = script("pictures")
    path = shared / "data" / "clinicdb" / "train" / "images" / "1.jpg"
    picture = pictures.load(path, channels=3)
    np.testing.assert_array_equal(picture.image.movedim(0, -1).numpy(), read_image(path).array)
    assert picture.mask.shape == picture.image.shape[1:]
    assert picture.mask.unique().tolist() == [0, 1]


def test_the_recipes_take_the_given_splits(script, shared: Path) -> None:
    polyp, breast, common = script("polyp"), script("breast_lesion"), script("picture_recipe")
    for recipe, folder, counts in ((polyp, "clinicdb", (489, 61)), (breast, "busi", (515, 67))):
        training, validation = common.given_split(shared / "data" / folder)
        assert (len(training), len(validation)) == counts
        assert len(training) == recipe.PICTURES
        assert all(script("pictures").mask_of(path).exists() for path in (*training, *validation))


def test_the_grouped_split_keeps_every_video_on_one_side(script, shared: Path) -> None:
    polyp = script("polyp")
    training, validation = polyp.grouped_split(shared / "data" / "clinicdb")
    assert (len(training), len(validation)) == (444, 106)
    # Frames on both sides of borders that were looked at.
    known = {1: 0, 25: 0, 26: 1, 51: 2, 297: 13, 298: 14, 591: 27, 592: 28, 612: 28}
    assert {frame: polyp.video_of(Path(f"{frame}.jpg")) for frame in known} == known
    assert {polyp.video_of(p) for p in validation} == {2, 7, 12, 17, 22, 27}
    assert not {polyp.video_of(p) for p in training} & {2, 7, 12, 17, 22, 27}


def test_a_network_for_unseen_videos_starts_from_nothing(script, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    arguments = ["polyp", "--data", "none", "--output", str(tmp_path), "--grouped-split", "--init", str(tmp_path)]
    monkeypatch.setattr(sys, "argv", arguments)
    with pytest.raises(SystemExit):
        script("polyp").main()
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("recipe", ["breast_lesion", "hippocampus", "polyp"])
def test_what_trains_loads_neither_monai_nor_what_runs_models(root: Path, recipe: str) -> None:
    """A machine with a GPU may have little beside torch; the model folder is written elsewhere (`--train-only`)."""
    code = f"import sys; sys.path.insert(0, 'training'); import {recipe}; print(*sys.modules)"
    found = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True, cwd=root)
    assert not set(found.stdout.split()) & {"monai", "openvino", "SimpleITK"}


@pytest.mark.skipif(sys.platform != "linux", reason="only glibc's allocator can be told")
def test_freed_memory_is_kept_when_asked_for(root: Path) -> None:
    """In a process of its own; the system's page faults tell whether a large tensor's memory was fetched anew."""
    code = """
import resource, sys
sys.path.insert(0, "training")
import torch
from memory import keep_freed_memory
def faults():
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    torch.ones(25_000_000)
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before
# The least of several: a small piece may now and then have taken a place at the edge of a large one.
usual = min(faults() for _ in range(5))
keep_freed_memory()
print(usual, min(faults() for _ in range(10)))
"""
    found = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True, cwd=root)
    usual, kept = map(int, found.stdout.split())
    assert kept < usual / 10


def test_an_empty_folder_is_named(script, tmp_path: Path) -> None:
    with pytest.raises(SystemExit, match="found 0 and 0"):
        script("picture_recipe").given_split(tmp_path)


@pytest.mark.slow
def test_one_command_trains_goes_on_and_writes_a_model(script, shared: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Two pictures a side and a network of the smallest width; the score on unseen videos stands in the card."""
    polyp, common, card = script("polyp"), script("picture_recipe"), script("card")
    monkeypatch.setattr(card, "PAGES", tmp_path / "pages")
    # It is for a process that does nothing but train.
    monkeypatch.setattr(script("recipe"), "keep_freed_memory", lambda: None)
    given = common.given_split(shared / "data" / "clinicdb")
    monkeypatch.setattr(polyp, "given_split", lambda data: (given[0][:3], given[1][:2]))
    monkeypatch.setattr(polyp, "grouped_split", lambda data: (given[0][3:6], given[1][2:4]))
    command = f"polyp --data none --output {tmp_path / 'run'} --export {tmp_path / 'polyp'} --variant T --steps"

    def run(arguments: str) -> None:
        monkeypatch.setattr(sys, "argv", [*command.split(), *arguments.split()])
        polyp.main()

    run("2 --grouped-split")
    run("1 --train-only")
    assert not (tmp_path / "polyp").exists()
    run("3")
    model = read_model(tmp_path / "polyp")
    grouped = json.loads((tmp_path / "run" / "grouped" / "scores.json").read_text())
    assert list(model.scores.values())[1] == grouped
    assert grouped["steps"] == 2
    assert next(iter(model.scores.values()))["pictures"] == 2
    history = model.metadata["changelog"]["0.1.0"]
    assert history.startswith("3 steps of 8 pictures at 0.5, 0.625, 0.75, then 0.75, 1.0, 1.25 times 256x256 at a learning rate of 0.001")
    assert "from the weights" not in history
    lines = [json.loads(line) for line in (tmp_path / "run" / "log.jsonl").read_text().splitlines()]
    assert [line["step"] for line in lines] == [1, 3]
    assert set(lines[0]) == {"step", "loss", "all islands", "largest island", "seconds"}
    assert (tmp_path / "run" / "curve.png").exists()
    assert [p.name for p in (tmp_path / "pages").iterdir()] == ["polyp.md"]


def test_a_model_tells_what_it_started_from(script, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Also where the training was interrupted, and exported with another command."""
    recipe = script("recipe")
    monkeypatch.setattr(recipe, "keep_freed_memory", lambda: None)
    first = small_model(tmp_path / "first", spatial_dims=2, in_channels=1, classes=3)

    def train(steps: int, *more: str) -> None:
        given = ["--data", "none", "--output", str(tmp_path / "run"), "--steps", str(steps), "--learning-rate", "0.5", *more]
        monkeypatch.setattr(sys, "argv", ["squares", *given])
        recipe.train(
            recipe.arguments("", name="squares", steps=1, variant="T").parse_args(),
            network=UltraLightUNet(**first.architecture.to_dict()),
            sample=lambda number: (torch.zeros(1, 32, 32), torch.zeros(32, 32, dtype=torch.uint8)),
            loss=dice_cross_entropy,
            plan=Plan(steps=steps, batch_size=2, every=1),
            validate=lambda network: {},
            samples="black squares",
        )

    train(1, "--init", str(first.folder))
    train(3)
    expected = "3 steps of 2 black squares at a learning rate of 0.5, from the weights of small 1.0.0 (made by UltraLight)"
    assert recipe.history(tmp_path / "run") == expected
