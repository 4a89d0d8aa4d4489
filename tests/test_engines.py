"""Two engines, one answer."""

from pathlib import Path

import numpy as np
import pytest
import torch

from tests.small_models import small_model
from ultralightunet import InputError, UltraLightUNet
from ultralightunet.engines import make_engine
from ultralightunet.models import Model


def reference_logits(model: Model, batch: np.ndarray) -> np.ndarray:
    """The network in double precision."""
    network = UltraLightUNet(**model.architecture.to_dict()).double().eval()
    state = {name: torch.from_numpy(values.astype(np.float64)) for name, values in model.weights().items()}
    network.load_state_dict(state, strict=False)
    with torch.no_grad():
        return network(torch.from_numpy(batch).double()).numpy()


@pytest.mark.parametrize("engine", ["openvino", "torch"])
@pytest.mark.parametrize("norm", ["batch", "instance"])
@pytest.mark.parametrize(("spatial_dims", "in_channels", "classes", "size"), [(2, 3, 2, (64, 96)), (3, 1, 4, (32, 64, 32))])
def test_an_engine_computes_the_network(
    tmp_path: Path, engine: str, norm: str, spatial_dims: int, in_channels: int, classes: int, size: tuple[int, ...]
) -> None:
    model = small_model(tmp_path / "model", spatial_dims=spatial_dims, in_channels=in_channels, classes=classes, norm=norm)
    batch = np.random.default_rng(1).normal(size=(2, in_channels, *size)).astype(np.float32)
    expected = reference_logits(model, batch)
    found = make_engine(model, engine=engine)(batch)
    assert found.dtype == np.float32
    assert np.abs(found - expected).max() < 1e-3 * np.abs(expected).max()


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
