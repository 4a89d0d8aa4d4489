"""A training by time may start from what shipped networks have learned."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from ultralightunet import LabelClass, load_model
from ultralightunet.architecture import VARIANTS, Architecture
from ultralightunet.models import Model
from ultralightunet.new_task import Wishes
from ultralightunet.new_task.starts import Start, possible_starts
from ultralightunet.prompting.network import prompt_model


def task(dims: int, channels: int = 1, *, modality: str = "image", classes: int = 3) -> Model:
    """Facts of a model that is to be learned."""
    return replace(
        load_model("brain"),
        modality=modality,
        architecture=Architecture(dims, channels, classes, VARIANTS["B" if dims == 2 else "S"], "instance"),
        classes=tuple(LabelClass(n, str(n)) for n in range(classes)),
    )


@pytest.mark.parametrize(
    ("model", "expected"),
    [
        (task(2), ["", "prompt-2d"]),
        (task(2, modality="us"), ["", "prompt-2d", "breast-lesion"]),
        (task(3), [""]),
    ],
    ids=["pictures", "ultrasound", "volumes"],
)
def test_random_weights_come_first_and_then_those_that_fit(model: Model, expected: list[str]) -> None:
    assert [start.name.partition("@")[0] for start in possible_starts(model, Wishes())] == expected


def test_a_width_or_norm_that_was_asked_for_leaves_out_networks_of_others() -> None:
    assert possible_starts(task(2), Wishes(variant="T")) == (Start(),)
    assert possible_starts(task(2), Wishes(norm="batch")) == (Start(),)
    assert len(possible_starts(task(2), Wishes(variant="B"))) == 2


@pytest.mark.parametrize("channels", [1, 2, 3])
def test_the_prompt_networks_weights_are_taken_over_for_any_number_of_channels(channels: int) -> None:
    start = Start(prompt_model())
    model = start.facts(task(2, channels))
    network = start.network(model)
    given = prompt_model().weights()
    assert model.parent.startswith("prompt-2d@")
    assert np.array_equal(network.state_dict()["encoder.1.expand.0.weight"].numpy(), given["encoder.1.expand.0.weight"].astype(np.float32))
    seen = network.state_dict()["encoder.0.residual.weight"].sum(1)
    # What grey gives is what grey as colour gave.
    assert torch.allclose(seen, torch.from_numpy(given["encoder.0.residual.weight"].astype(np.float32))[:, :3].sum(1), atol=1e-5)
    assert network(torch.rand(1, channels, 64, 64)).shape == (1, 3, 64, 64)


def test_statistics_of_batch_norm_stay_those_of_the_start() -> None:
    start = Start(load_model("breast-lesion"))
    model = start.facts(task(2, modality="US"))
    network = start.network(model).train()
    assert model.architecture.norm == "batch"
    before = network.state_dict()["encoder.0.expand.1.running_mean"].clone()
    network(torch.rand(2, 1, 64, 64))
    assert torch.equal(network.state_dict()["encoder.0.expand.1.running_mean"], before)
