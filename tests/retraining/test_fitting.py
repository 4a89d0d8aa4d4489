"""The network that a retraining starts from, and what of it learns."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from tests.small_models import small_model
from ultralightunet.engines import make_engine
from ultralightunet.networks import UltraLightUNet
from ultralightunet.retraining.fitting import blended, freeze_statistics, network_of, weights_of


@pytest.mark.parametrize("norm", ["batch", "instance"])
@pytest.mark.parametrize(("classes", "wanted"), [(3, 3), (3, 5), (2, 3)])
def test_a_network_with_further_classes_labels_as_before(tmp_path: Path, norm: str, classes: int, wanted: int) -> None:
    model = small_model(tmp_path / "model", classes=classes, norm=norm)
    image = torch.randn(1, 1, 64, 32, 32)
    before = torch.from_numpy(make_engine(model, threads=1)(image.numpy()))
    with torch.inference_mode():
        after = network_of(model, model.architecture.out_channels if wanted == classes else wanted).eval()(image)
    labels = before[:, 0] > 0 if before.shape[1] == 1 else before.argmax(1)
    differ = (labels.long() != after.argmax(1)).float().mean()
    assert float(differ) < 1e-3


def test_frozen_statistics_stay_and_the_rest_learns(tmp_path: Path) -> None:
    network = network_of(small_model(tmp_path / "model"), 3)
    freeze_statistics(network)
    before = {name: value.copy() for name, value in weights_of(network).items()}
    optimizer = torch.optim.SGD(network.parameters(), lr=1.0)
    network.train()
    network(torch.randn(1, 1, 32, 32, 32)).square().mean().backward()
    optimizer.step()
    after = weights_of(network)
    statistics = {name for name in after if "running" in name}
    assert statistics
    assert all(np.array_equal(before[name], after[name]) for name in statistics)
    assert sum(not np.array_equal(before[name], after[name]) for name in set(after) - statistics) > 50


def test_frozen_statistics_are_those_of_the_product(tmp_path: Path) -> None:
    network = network_of(small_model(tmp_path / "model"), 3)
    image = torch.randn(1, 1, 32, 32, 32)
    with torch.inference_mode():
        expected = network.eval()(image)
        freeze_statistics(network)
        torch.testing.assert_close(network.train()(image), expected, atol=1e-4, rtol=1e-4)


def test_weights_between_two_networks() -> None:
    parent, child = {"a": np.zeros(3, np.float32)}, {"a": np.ones(3, np.float32)}
    np.testing.assert_allclose(blended(parent, child, 0.25)["a"], 0.25)
    assert isinstance(UltraLightUNet(), torch.nn.Module)
