"""Two engines, one answer."""

import os
from pathlib import Path

import numpy as np
import pytest
import torch

from tests.small_models import small_model
from ultralightunet import InputError, UltraLightUNet, segment
from ultralightunet.architecture import VARIANTS
from ultralightunet.engines import Mirrored, compiled, make_engine
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
    ("spatial_dims", "in_channels", "classes", "size"), [(2, 3, 2, (64, 96)), (3, 1, 4, (32, 64, 32)), (3, 2, 3, (96, 32, 64))]
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


def test_an_installed_network_is_compiled_once_and_a_damaged_one_anew(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    model = install_model(small_model(tmp_path / "model").folder)
    image = np.random.default_rng(0).normal(size=(1, 1, 32, 64, 32)).astype(np.float32)
    first = make_engine(model)(image)
    (blob,) = blobs()
    whole = blob.read_bytes()
    random = np.random.default_rng(1)
    places = [0, 20, 100, *random.integers(0, len(whole), 5)]
    flipped = [whole[:place] + bytes([whole[place] ^ 1]) + whole[place + 1 :] for place in places]
    # A damaged kilobyte among the weights gave other labels, without a word.
    shuffled = [whole[:place] + random.bytes(1024) + whole[place + 1024 :] for place in (len(whole) // 2, len(whole) - 2048)]
    for damaged in (whole, whole[: len(whole) // 2], b"", whole + b"more", *flipped, *shuffled):
        caplog.clear()
        blob.write_bytes(damaged)
        np.testing.assert_array_equal(make_engine(model)(image), first)
        assert blobs() == [blob]
        assert ("made anew" in caplog.text) == (damaged != whole)
        caplog.clear()
        np.testing.assert_array_equal(make_engine(model)(image), first)
        assert "made anew" not in caplog.text, "the damaged one was replaced"


def test_a_compiled_network_of_another_model_or_shape_is_never_loaded(tmp_path: Path) -> None:
    image = np.random.default_rng(0).normal(size=(1, 1, 32, 32, 32)).astype(np.float32)
    models = [install_model(small_model(tmp_path / f"{seed}", name=f"small{seed}", seed=seed).folder) for seed in (1, 2)]
    one, other = (make_engine(model)(image) for model in models)
    assert np.abs(one - other).max() > 0.1
    first, second = blobs()
    exchanged = second.read_bytes(), first.read_bytes()
    first.write_bytes(exchanged[0])
    second.write_bytes(exchanged[1])
    np.testing.assert_array_equal(make_engine(models[0])(image), one)
    np.testing.assert_array_equal(make_engine(models[1])(image), other)


def test_what_a_compiled_network_was_made_from_decides(tmp_path: Path) -> None:
    model, other = small_model(tmp_path / "a"), small_model(tmp_path / "b", seed=1)
    keys = [
        compiled.made_from(model, (1, 1, 32, 32, 32), "2026.4", "a processor"),
        compiled.made_from(other, (1, 1, 32, 32, 32), "2026.4", "a processor"),
        compiled.made_from(model, (1, 1, 32, 32, 64), "2026.4", "a processor"),
        compiled.made_from(model, (1, 1, 32, 32, 32), "2027.0", "a processor"),
        compiled.made_from(model, (1, 1, 32, 32, 32), "2026.4", "another one"),
    ]
    assert len(set(keys)) == len(keys)
    assert keys[0] == compiled.made_from(model, (1, 1, 32, 32, 32), "2026.4", "a processor")


def test_of_compiled_networks_those_used_last_are_kept_and_none_of_a_passing_model(tmp_path: Path) -> None:
    keys = [f"{number:032x}{0:032x}" for number in range(26)]
    for number, key in enumerate(keys[:24]):
        compiled.keep(key, b"network")
        os.utime(home() / "cache" / "compiled" / f"{key[:32]}.blob", (number, number))
    assert compiled.load(keys[0]) == b"network"
    for key in keys[24:]:
        compiled.keep(key, b"network")
    assert {key for key in keys if compiled.load(key)} == {keys[0], *keys[3:]}, "the first one was used since"
    make_engine(small_model(tmp_path / "model"))(np.zeros((1, 1, 32, 32, 32), np.float32))
    assert len(blobs()) == 24


@pytest.mark.parametrize("place", ["a file", "no permission"])
def test_without_a_place_to_keep_compiled_networks_all_goes_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, place: str) -> None:
    model = install_model(small_model(tmp_path / "model").folder)
    image = np.zeros((1, 1, 32, 32, 32), np.float32)
    expected = make_engine(model)(image)
    if place == "a file":
        (tmp_path / "file").write_text("not a folder")
        monkeypatch.setattr("ultralightunet.engines.compiled.home", lambda: tmp_path / "file")
    else:
        (blob,) = blobs()
        blob.unlink()

        def refused(*_: object) -> None:
            raise PermissionError(13, "Permission denied")

        monkeypatch.setattr("ultralightunet.engines.compiled.replace_durably", refused)
    np.testing.assert_array_equal(make_engine(model)(image), expected)


def test_a_kept_network_serves_where_nothing_can_be_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    model = install_model(small_model(tmp_path / "model").folder)
    image = np.random.default_rng(0).normal(size=(1, 1, 32, 32, 32)).astype(np.float32)
    expected = make_engine(model)(image)

    def refused(*_: object, **__: object) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr("os.utime", refused)
    monkeypatch.setattr("ultralightunet.engines.openvino_engine.build_graph", refused)
    np.testing.assert_array_equal(make_engine(model)(image), expected)
