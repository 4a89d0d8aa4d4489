"""Two engines, one answer."""

import os
from pathlib import Path

import numpy as np
import pytest
import torch

from tests.small_models import small_model
from ultralightunet import InputError, UltraLightUNet, segment
from ultralightunet.architecture import VARIANTS
from ultralightunet.engines import Mirrored, make_engine
from ultralightunet.engines.compiled import cache_folder
from ultralightunet.home import home
from ultralightunet.models import Model, install_model


def reference_logits(model: Model, batch: np.ndarray) -> np.ndarray:
    """The network in double precision."""
    network = UltraLightUNet(**model.architecture.to_dict()).double().eval()
    state = {name: torch.from_numpy(values.astype(np.float64)) for name, values in model.weights().items()}
    network.load_state_dict(state, strict=False)
    with torch.no_grad():
        return network(torch.from_numpy(batch).double()).numpy()


@pytest.mark.parametrize("engine", ["openvino", "torch"])
@pytest.mark.parametrize("norm", ["batch", "instance"])
@pytest.mark.parametrize(
    ("spatial_dims", "in_channels", "classes", "size"), [(2, 3, 2, (64, 96)), (3, 1, 4, (32, 64, 32)), (3, 2, 3, (96, 64, 64))]
)
def test_an_engine_computes_the_network(
    tmp_path: Path, engine: str, norm: str, spatial_dims: int, in_channels: int, classes: int, size: tuple[int, ...]
) -> None:
    model = small_model(tmp_path / "model", spatial_dims=spatial_dims, in_channels=in_channels, classes=classes, norm=norm)
    batch = np.random.default_rng(1).normal(size=(2, in_channels, *size)).astype(np.float32)
    expected = reference_logits(model, batch)
    found = make_engine(model, engine=engine)(batch)
    assert found.dtype == np.float32
    assert np.abs(found - expected).max() < 1e-3 * np.abs(expected).max()


def test_mirror_images_are_seen_in_every_combination_and_averaged(tmp_path: Path) -> None:
    engine = make_engine(small_model(tmp_path / "model"))
    batch = np.random.default_rng(1).normal(size=(2, 1, 32, 64, 32)).astype(np.float32)
    before = batch.copy()
    turns = [(), (2,), (4,), (2, 4)]
    expected = np.mean([np.flip(engine(np.flip(batch, turn).copy()), turn) for turn in turns], axis=0)
    np.testing.assert_allclose(Mirrored(engine, (0, 2))(batch), expected, atol=1e-5)
    np.testing.assert_array_equal(Mirrored(engine, ())(batch), engine(batch))
    np.testing.assert_array_equal(batch, before)


@pytest.mark.parametrize("norm", ["batch", "instance"])
@pytest.mark.parametrize("variant", [*list(VARIANTS)[:-1], pytest.param("L", marks=pytest.mark.slow)])
@pytest.mark.parametrize(("spatial_dims", "in_channels", "classes", "size"), [(2, 3, 2, (96, 160)), (3, 1, 4, (64, 32, 32))])
def test_openvino_finds_the_labels_of_the_network_at_every_width(
    tmp_path: Path, norm: str, variant: str, spatial_dims: int, in_channels: int, classes: int, size: tuple[int, ...]
) -> None:
    """However its graph is arranged: equal but where the two best logits are a thousandth apart."""
    model = small_model(
        tmp_path / "model", spatial_dims=spatial_dims, in_channels=in_channels, classes=classes, norm=norm, variant=variant, seed=4
    )
    batch = np.random.default_rng(1).normal(size=(2, in_channels, *size)).astype(np.float32)
    expected, found = (make_engine(model, engine=engine)(batch) for engine in ("torch", "openvino"))
    if classes == 2:
        # Random weights may find one side of a sigmoid everywhere; where its border lies is no matter of the graph's.
        expected, found = (np.concatenate((np.full_like(x, np.median(expected)), x), 1) for x in (expected, found))
    labels, others = expected.argmax(1), found.argmax(1)
    assert len(np.unique(labels)) > 1
    second, first = np.sort(expected, axis=1)[:, -2:].swapaxes(0, 1)
    assert (first - second)[labels != others].max(initial=0) < 1e-3


@pytest.mark.parametrize(("norm", "shape"), [("batch", (37, 65, 50)), ("instance", (97, 45, 33))])
def test_both_engines_label_a_volume_of_odd_size_alike(tmp_path: Path, norm: str, shape: tuple[int, ...]) -> None:
    model = small_model(tmp_path / "model", norm=norm, seed=3, whole=1.0)
    image = np.random.default_rng(1).normal(size=shape).astype(np.float32)
    expected, found = (segment(image, model, engine=engine).labels for engine in ("torch", "openvino"))
    assert len(np.unique(expected)) > 1
    assert (expected != found).mean() < 1e-4


def test_what_an_engine_returned_stays_as_it_was(tmp_path: Path) -> None:
    engine = make_engine(small_model(tmp_path / "model"))
    first, second = np.random.default_rng(1).normal(size=(2, 1, 1, 32, 32, 32)).astype(np.float32)
    logits = engine(first)
    kept = logits.copy()
    engine(second)
    np.testing.assert_array_equal(logits, kept)


def test_openvinos_instance_norm_keeps_its_precision_on_a_whole_head(tmp_path: Path) -> None:
    """A single long sum over a million voxels would lose a ten-thousandth of the variance, and shift logits by 0.01."""
    model = small_model(tmp_path / "model", norm="instance")
    batch = np.random.default_rng(1).normal(size=(1, 1, 96, 96, 96)).astype(np.float32)
    expected = make_engine(model, engine="torch")(batch)
    found = make_engine(model, engine="openvino")(batch)
    assert np.abs(found - expected).max() < 1e-3
    first, second = np.sort(expected, axis=1)[:, :-3:-1].swapaxes(0, 1)
    differ = found.argmax(1) != expected.argmax(1)
    assert (first - second)[differ].max(initial=0) < 1e-3


def test_the_number_of_threads_does_not_change_the_labels(tmp_path: Path) -> None:
    model = small_model(tmp_path / "model")
    batch = np.random.default_rng(1).normal(size=(1, 1, 64, 64, 64)).astype(np.float32)
    one, two = (make_engine(model, threads=n)(batch) for n in (1, 2))
    assert np.abs(one - two).max() < 1e-3


def test_a_gpu_that_is_not_there_is_named(tmp_path: Path) -> None:
    if torch.cuda.is_available():
        pytest.skip("this machine has a GPU")
    with pytest.raises(InputError, match="expected a cuda device"):
        make_engine(small_model(tmp_path / "model"), device="cuda")


@pytest.mark.parametrize("options", [{"engine": "tensorflow"}, {"device": "tpu"}, {"threads": 0}, {"engine": "openvino", "device": "cuda"}])
def test_what_cannot_be_chosen_is_refused(tmp_path: Path, options: dict) -> None:
    with pytest.raises(InputError):
        make_engine(small_model(tmp_path / "model"), **options)


def blobs() -> list[Path]:
    return sorted((home() / "cache" / "compiled").glob("*.blob"))


def test_an_installed_network_is_compiled_once_and_a_damaged_one_anew(tmp_path: Path) -> None:
    model = install_model(small_model(tmp_path / "model").folder)
    image = np.random.default_rng(0).normal(size=(1, 1, 32, 64, 32)).astype(np.float32)
    first = make_engine(model)(image)
    (blob,) = blobs()
    whole = blob.read_bytes()
    for damaged in (whole, whole[: len(whole) // 2], whole[:500] + bytes([whole[500] ^ 1]) + whole[501:], b""):
        blob.chmod(0o600)
        blob.write_bytes(damaged)
        np.testing.assert_array_equal(make_engine(model)(image), first)
        assert [path.name for path in blobs()] == [blob.name]


def test_of_compiled_networks_the_newest_are_kept_and_none_of_a_passing_model(tmp_path: Path) -> None:
    folder = home() / "cache" / "compiled"
    folder.mkdir(parents=True)
    for number in range(40):
        path = folder / f"{number}.blob"
        path.touch()
        os.utime(path, (number, number))
    assert cache_folder() == folder
    assert {path.stem for path in blobs()} == {str(number) for number in range(16, 40)}
    make_engine(small_model(tmp_path / "model"))(np.zeros((1, 1, 32, 32, 32), np.float32))
    assert len(blobs()) == 24


def test_without_a_place_for_compiled_networks_all_goes_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    model = install_model(small_model(tmp_path / "model").folder)
    (tmp_path / "file").write_text("not a folder")
    image = np.zeros((1, 1, 32, 32, 32), np.float32)
    expected = make_engine(model)(image)
    monkeypatch.setattr("ultralightunet.engines.compiled.home", lambda: tmp_path / "file")
    assert cache_folder() is None
    np.testing.assert_array_equal(make_engine(model)(image), expected)
