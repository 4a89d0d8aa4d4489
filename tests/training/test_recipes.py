"""What the recipes of the 2D models feed to the network, and that one command makes a model of it."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
import torch
from torch import Tensor

from tests.small_models import small_model
from ultralightunet.architecture import Architecture
from ultralightunet.events import finish
from ultralightunet.inference.session import Request, label_with
from ultralightunet.io import read_image
from ultralightunet.learning.losses import dice_cross_entropy
from ultralightunet.learning.training import Plan
from ultralightunet.models import Intensity, LabelClass, Model, read_model
from ultralightunet.networks import UltraLightUNet
from ultralightunet.volume import Volume

pytestmark = pytest.mark.usefixtures("one_thread")

CHANGES = {
    "turn": 3.0,
    "scale": (0.5, 2.0),
    "stretch": 0.4,
    "shift": 0.3,
    "bend": 0.05,
    "mirror": True,
    "upside_down": True,
    "light": 0.05,
    "shading": 0.1,
    "speckle": 0.1,
    "noise": 0.03,
    "blur": 1.0,
    "compression_chance": 1.0,
}
"""Each change alone, as strong as it gets."""


@pytest.fixture
def pictures(script) -> ModuleType:
    return script("pictures")


def picture_model(channels: int = 3, size: tuple[int, int] = (64, 96)) -> Model:
    return Model(
        folder=Path("none"),
        name="squares",
        version="0.1.0",
        title="Squares",
        modality="photo",
        architecture=Architecture(2, channels, 1, (4, 4, 4, 4, 4), "batch"),
        classes=(LabelClass(0, "background"), LabelClass(1, "square")),
        size=size,
        window=size,
        intensity=Intensity("scale", 0.0, 255.0, (0.4,), (0.2,)),
    )


def red_disc(pictures: ModuleType, name: str = "disc", size: tuple[int, int] = (72, 100)):
    """A bright red disc off the centre of a dark blue picture, and its mask."""
    j, i = torch.meshgrid(torch.arange(size[0]), torch.arange(size[1]), indexing="ij")
    mask = ((j - 30) ** 2 + (i - 56) ** 2 < 18**2).to(torch.uint8)
    image = torch.stack((40 + 180 * mask, torch.full_like(mask, 40), 90 - 60 * mask)).to(torch.uint8)
    return pictures.Picture(name, image, mask)


def redness(image: Tensor) -> Tensor:
    return image[0] > 0.51


def agreement(a: Tensor, b: Tensor) -> float:
    return 2 * float((a & b).sum()) / max(1.0, float(a.sum() + b.sum()))


# ---- augmentation


@pytest.mark.parametrize("change", CHANGES)
@pytest.mark.parametrize("size", [(72, 100), (64, 64), (128, 96)])
def test_the_mask_follows_the_picture_under_every_change(pictures: ModuleType, change: str, size: tuple[int, int]) -> None:
    augment = replace(pictures.UNCHANGED, **{change: CHANGES[change]})
    picture = red_disc(pictures)
    for seed in range(12):
        image, mask = augment(picture, size, torch.Generator().manual_seed(seed))
        assert image.shape == (3, *size)
        assert mask.shape == size
        assert image.dtype == torch.float32
        assert mask.dtype == torch.uint8
        assert image.min() >= 0
        assert image.max() <= 1
        assert mask.any()
        assert agreement(redness(image), mask == 1) > 0.9


@pytest.mark.parametrize("change", CHANGES)
def test_every_change_changes_something(pictures: ModuleType, change: str) -> None:
    augment = replace(pictures.UNCHANGED, **{change: CHANGES[change]})
    picture = red_disc(pictures)
    plain = pictures.UNCHANGED(picture, (72, 100), torch.Generator())
    samples = [augment(picture, (72, 100), torch.Generator().manual_seed(seed)) for seed in range(12)]
    assert any((image - plain[0]).abs().max() > 0.01 for image, _ in samples)
    moves = change in ("turn", "scale", "stretch", "shift", "bend", "mirror", "upside_down")
    assert any(not torch.equal(mask, plain[1]) for _, mask in samples) == moves


def test_colours_change_but_grey_pictures_stay_grey(pictures: ModuleType) -> None:
    augment = replace(pictures.UNCHANGED, colour=0.2)
    picture = red_disc(pictures)
    coloured = [augment(picture, (72, 100), torch.Generator().manual_seed(seed))[0] for seed in range(8)]
    assert max(float((a - coloured[0]).abs().max()) for a in coloured) > 0.05
    grey = replace(picture, image=picture.image[:1])
    plain = pictures.UNCHANGED(grey, (72, 100), torch.Generator())[0]
    assert all(torch.equal(augment(grey, (72, 100), torch.Generator().manual_seed(seed))[0], plain) for seed in range(8))


def test_a_turn_keeps_shapes_although_the_network_sees_squeezed_pictures(pictures: ModuleType) -> None:
    """A disc of the stored picture stays one: turned and squeezed back to the stored shape, its extent along each axis is the same."""
    augment = replace(pictures.UNCHANGED, turn=3.0)
    j, i = torch.meshgrid(torch.arange(100), torch.arange(200), indexing="ij")
    mask = ((j - 49.5) ** 2 + (i - 99.5) ** 2 < 40**2).to(torch.uint8)
    picture = pictures.Picture("disc", mask[None] * 255, mask)
    for seed in range(8):
        found = augment(picture, (128, 128), torch.Generator().manual_seed(seed))[1]
        height, width = int(found.any(1).sum()) * 100 / 128, int(found.any(0).sum()) * 200 / 128
        assert abs(height - 80) < 3
        assert abs(width - 80) < 4


@pytest.mark.parametrize("size", [(64, 96), (96, 128), (32, 32)])
@pytest.mark.parametrize("channels", [1, 3])
def test_without_changes_a_sample_is_what_the_product_shows_the_network(pictures: ModuleType, size: tuple[int, int], channels: int) -> None:
    rng = np.random.default_rng(0)
    stored = rng.integers(0, 256, (72, 100, channels), dtype=np.uint8)
    model = picture_model(channels, size)
    shown: list[np.ndarray] = []

    class Watching:
        name, device = "torch", "cpu"

        def prepare(self, shape: tuple[int, ...]) -> None:
            pass

        def __call__(self, batch: np.ndarray) -> np.ndarray:
            shown.append(batch[0].copy())
            return batch[:, :1]

    volume = Volume(stored if channels == 3 else stored[..., 0], channels=channels, has_spacing=False)
    finish(label_with(Watching(), volume, Request(model)))
    picture = pictures.Picture("noise", torch.from_numpy(stored).movedim(-1, 0), torch.zeros(72, 100, dtype=torch.uint8))
    sampler = pictures.Sampler([picture], pictures.UNCHANGED, model, batch_size=1, scales=(1.0,))
    found, _ = sampler(0)
    np.testing.assert_allclose(found[:, 2:-2, 2:-2].numpy(), shown[0][:, 2:-2, 2:-2], atol=1e-4)
    # At the very edge the two shrinking filters weigh what lies outside differently.
    np.testing.assert_allclose(found.numpy(), shown[0], atol=1)


# ---- samples


def sampler_of(pictures: ModuleType, count: int = 5, batch_size: int = 4):
    """Pictures that differ in the brightness of their first pixel's blue."""
    found = []
    for number in range(count):
        disc = red_disc(pictures, str(number))
        disc.image[2, 0, 0] = 100 + number
        found.append(disc)
    return pictures.Sampler(found, pictures.Augmentation(), picture_model(size=(128, 256)), batch_size=batch_size, scales=(0.75, 1.0, 1.25))


def test_a_sample_depends_on_its_number_and_on_nothing_else(pictures: ModuleType) -> None:
    first, second = sampler_of(pictures), sampler_of(pictures)
    forwards = [first(number) for number in range(10)]
    torch.manual_seed(99)
    backwards = [second(number) for number in range(9, -1, -1)][::-1]
    for (image, mask), (again, same) in zip(forwards, backwards, strict=True):
        assert torch.equal(image, again)
        assert torch.equal(mask, same)
    assert not torch.equal(forwards[4][0], forwards[6][0])


def test_samples_of_a_batch_have_one_size_and_sizes_take_turns(pictures: ModuleType) -> None:
    sampler = sampler_of(pictures)
    sizes = [tuple(sampler(number)[0].shape) for number in range(16)]
    assert sizes == [(3, 96, 192)] * 4 + [(3, 128, 256)] * 4 + [(3, 160, 320)] * 4 + [(3, 96, 192)] * 4
    assert all(tuple(sampler(number)[1].shape) == size[1:] for number, size in enumerate(sizes))


def test_the_first_batches_have_sizes_and_changes_of_their_own(pictures: ModuleType) -> None:
    model, found = picture_model(size=(128, 256)), [red_disc(pictures, "disc")]
    mirrored = replace(pictures.UNCHANGED, mirror=True, upside_down=True)
    options = {"batch_size": 2, "scales": (1.0,), "early_scales": (0.5,), "early_batches": 3}
    same = pictures.Sampler(found, pictures.UNCHANGED, model, **options)
    other = pictures.Sampler(found, pictures.UNCHANGED, model, early_augment=mirrored, **options)
    for number in range(12):
        one, another = same(number), other(number)
        assert one[0].shape == another[0].shape == ((3, 64, 128) if number < 6 else (3, 128, 256))
        if number >= 6:
            assert torch.equal(one[0], another[0])
    assert any(not torch.equal(same(number)[0], other(number)[0]) for number in range(6))


def test_every_picture_comes_once_a_round_in_a_new_order(pictures: ModuleType) -> None:
    sampler = sampler_of(pictures, count=7)
    rounds = [[sampler.picture(7 * turn + n).name for n in range(7)] for turn in range(4)]
    assert all(sorted(names) == list("0123456") for names in rounds)
    assert len({tuple(names) for names in rounds}) > 1


def test_a_model_without_a_size_is_refused(pictures: ModuleType) -> None:
    with pytest.raises(ValueError, match="a size and the intensity rule"):
        pictures.Sampler([], pictures.UNCHANGED, replace(picture_model(), size=None), batch_size=1, scales=(1.0,))


# ---- the recipes


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
    for _ in range(5):
        torch.ones(25_000_000)
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before
usual = faults()
keep_freed_memory()
faults(), faults()
print(usual, faults())
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
