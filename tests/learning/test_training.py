"""The training loop learns, stops where it is told, and goes on as if it had never stopped."""

from __future__ import annotations

import itertools
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from tests.full_disk import full_disk
from tests.waiting import until
from ultralightunet import UltraLightUNet
from ultralightunet.errors import OutputError, TrainingError
from ultralightunet.events import Epoch, finish
from ultralightunet.learning.losses import dice_cross_entropy
from ultralightunet.learning.training import Plan, Sample, fit

pytestmark = pytest.mark.usefixtures("one_thread")


def square(number: int, size: int = 32) -> Sample:
    """A bright square on noise, somewhere; its class is 1."""
    generator = torch.Generator().manual_seed(number)
    side = int(torch.randint(8, 16, (), generator=generator))
    top, left = (int(v) for v in torch.randint(0, size - side, (2,), generator=generator))
    target = torch.zeros(size, size, dtype=torch.long)
    target[top : top + side, left : left + side] = 1
    return (target + 0.5 * torch.randn(size, size, generator=generator))[None], target


def cube(number: int) -> Sample:
    image, target = square(number)
    return image[:, None].expand(-1, 32, -1, -1).contiguous(), target[None].expand(32, -1, -1).contiguous()


def small_network(spatial_dims: int = 2, seed: int = 0) -> nn.Module:
    torch.manual_seed(seed)
    conv, norm = (nn.Conv2d, nn.BatchNorm2d) if spatial_dims == 2 else (nn.Conv3d, nn.BatchNorm3d)
    return nn.Sequential(conv(1, 4, 3, padding=1), norm(4), nn.ReLU(), conv(4, 2, 3, padding=1))


def ultralight(seed: int = 0) -> nn.Module:
    torch.manual_seed(seed)
    return UltraLightUNet(spatial_dims=2, in_channels=1, out_channels=2, variant="T")


def weights_of(network: nn.Module) -> dict[str, Tensor]:
    return {name: value.clone() for name, value in network.state_dict().items()}


def assert_same(first: nn.Module, second: nn.Module) -> None:
    for (name, one), (_, two) in zip(first.state_dict().items(), second.state_dict().items(), strict=True):
        assert torch.equal(one, two), name


def dice_on_new_squares(network: nn.Module) -> dict[str, float]:
    images, targets = (torch.stack(part) for part in zip(*(square(10_000 + n) for n in range(8)), strict=True))
    with torch.no_grad():
        found = network(images).argmax(1)
    return {"dice": float(2 * (found * targets).sum() / (found.sum() + targets.sum()))}


def threads_of_samples() -> int:
    return sum("work" in thread.name for thread in threading.enumerate())


def wait_until_gone() -> None:
    until(lambda: threads_of_samples() == 0)


# ---- it learns


def test_it_learns_to_find_a_square(tmp_path: Path) -> None:
    plan = Plan(steps=120, batch_size=4, learning_rate=2e-2, warm_up=10, average=0.9, every=40)
    epochs: list[Epoch] = []
    work = fit(small_network(), square, dice_cross_entropy, plan, checkpoint=tmp_path / "c.pt", validate=dice_on_new_squares, workers=2)
    network = finish(work, epochs.append)
    assert [(e.step, e.steps) for e in epochs] == [(40, 120), (80, 120), (120, 120)]
    assert epochs[-1].loss < 0.6 * epochs[0].loss
    assert epochs[-1].scores["dice"] > 0.85
    assert dice_on_new_squares(network) == epochs[-1].scores
    assert all(e.seconds > 0 for e in epochs)
    assert not network.training
    wait_until_gone()


def test_the_returned_network_is_the_average_and_the_given_one_goes_on_training(tmp_path: Path) -> None:
    network = small_network()
    averaged = finish(fit(network, square, dice_cross_entropy, Plan(steps=6, every=3), checkpoint=tmp_path / "c.pt"))
    assert averaged is not network
    assert network.training
    assert not torch.equal(network[0].weight, averaged[0].weight)


@pytest.mark.parametrize(("steps", "every", "expected"), [(7, 3, [3, 6, 7]), (4, 4, [4]), (2, 100, [2]), (3, 1, [1, 2, 3])])
def test_it_reports_every_so_many_steps_and_at_the_end(tmp_path: Path, steps: int, every: int, expected: list[int]) -> None:
    work = fit(small_network(), square, dice_cross_entropy, Plan(steps=steps, every=every, warm_up=0), checkpoint=tmp_path / "c.pt")
    assert [epoch.step for epoch in work] == expected


def test_every_sample_is_asked_for_once_and_in_batches_in_order(tmp_path: Path) -> None:
    asked: list[int] = []
    batches: list[list[int]] = []

    def sample(number: int) -> Sample:
        asked.append(number)
        time.sleep(0.002 * (number % 3))
        return torch.full((1, 8, 8), float(number)), torch.zeros(8, 8, dtype=torch.long)

    def loss(logits: Tensor, targets: Tensor) -> Tensor:
        return logits.mean()

    class Watching(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.scale = nn.Parameter(torch.ones(1))

        def forward(self, images: Tensor) -> Tensor:
            batches.append([int(v) for v in images[:, 0, 0, 0]])
            return images * self.scale

    finish(fit(Watching(), sample, loss, Plan(steps=10, batch_size=3, every=4), checkpoint=tmp_path / "c.pt", workers=3))
    assert batches == [[3 * n, 3 * n + 1, 3 * n + 2] for n in range(10)]
    assert sorted(asked) == list(range(30))


# ---- it stops and goes on


@pytest.mark.parametrize("kind", ["2d", "3d", "ultralightunet"])
def test_a_training_that_was_stopped_gives_the_same_weights_as_one_that_was_not(tmp_path: Path, kind: str) -> None:
    def make(seed: int) -> nn.Module:
        return {"2d": small_network, "3d": lambda seed: small_network(3, seed), "ultralightunet": ultralight}[kind](seed=seed)

    sample = cube if kind == "3d" else square
    plan = Plan(steps=6, batch_size=2, warm_up=2, every=2, average=0.9)

    def training(network: nn.Module, name: str) -> Iterator[Epoch]:
        return fit(network, sample, dice_cross_entropy, plan, checkpoint=tmp_path / name, workers=2)

    uninterrupted = make(0)
    losses: list[float] = []
    expected = finish(training(uninterrupted, "whole.pt"), lambda epoch: losses.append(epoch.loss))

    stopped = training(make(0), "stopped.pt")
    assert next(stopped).step == 2
    stopped.close()
    # Stopped a second time in the middle of a stretch, so what was done since the last checkpoint is done again.
    again = training(make(5), "stopped.pt")
    assert next(again).loss == losses[1]
    del again
    resumed = make(7)
    found = finish(training(resumed, "stopped.pt"), lambda epoch: losses.append(epoch.loss))
    assert losses[3:] == losses[2:3]
    assert_same(resumed, uninterrupted)
    assert_same(found, expected)


@pytest.mark.parametrize("plan", [Plan(steps=4, every=2), Plan(steps=10**7, every=2, seconds=8)], ids=["steps", "seconds"])
def test_a_finished_training_is_not_repeated(tmp_path: Path, plan: Plan) -> None:
    looks = itertools.count()

    def training(network: nn.Module) -> Iterator[Epoch]:
        # A second passes between two looks at the clock.
        return fit(network, square, dice_cross_entropy, plan, checkpoint=tmp_path / "c.pt", clock=lambda: float(next(looks)))

    events: list[Epoch] = []
    first = finish(training(small_network()), events.append)
    assert events[-1].step == 4
    events.clear()
    second = finish(training(small_network(seed=3)), events.append)
    assert events == []
    assert_same(second, first)


@pytest.mark.parametrize("layout", [None, torch.contiguous_format])
def test_weights_lie_in_the_layout_that_was_asked_for(layout: torch.memory_format | None) -> None:
    network = small_network()
    finish(fit(network, square, dice_cross_entropy, Plan(steps=1, batch_size=2), checkpoint=None, layout=layout))
    assert network[3].weight.is_contiguous() == (layout is torch.contiguous_format)


def test_a_checkpoint_holds_nothing_but_tensors_and_numbers(tmp_path: Path) -> None:
    plan = Plan(steps=4, batch_size=2, every=2)
    finish(fit(small_network(), square, dice_cross_entropy, plan, checkpoint=tmp_path / "new" / "folder" / "c.pt"))
    state = torch.load(tmp_path / "new" / "folder" / "c.pt", weights_only=True)
    assert state["step"] == 4
    assert Plan(**state["plan"]) == plan
    assert [path.name for path in (tmp_path / "new" / "folder").iterdir()] == ["c.pt"]


def test_a_checkpoint_of_another_network_is_refused_and_stays(tmp_path: Path) -> None:
    finish(fit(small_network(), square, dice_cross_entropy, Plan(steps=2, every=2), checkpoint=tmp_path / "c.pt"))
    before = (tmp_path / "c.pt").read_bytes()
    with pytest.raises(TrainingError, match="Missing key|another or a damaged one"):
        next(fit(ultralight(), square, dice_cross_entropy, Plan(steps=4, every=2), checkpoint=tmp_path / "c.pt"))
    assert (tmp_path / "c.pt").read_bytes() == before
    assert threads_of_samples() == 0


def test_a_damaged_checkpoint_is_one_clear_error(tmp_path: Path) -> None:
    finish(fit(small_network(), square, dice_cross_entropy, Plan(steps=2, every=2), checkpoint=tmp_path / "c.pt"))
    whole = (tmp_path / "c.pt").read_bytes()
    (tmp_path / "c.pt").write_bytes(whole[: len(whole) // 2])
    with pytest.raises(TrainingError, match="damaged"):
        next(fit(small_network(), square, dice_cross_entropy, Plan(steps=4, every=2), checkpoint=tmp_path / "c.pt"))


def test_a_loss_that_is_no_number_ends_the_training(tmp_path: Path) -> None:
    def lost(logits: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
        return logits.mean() * float("nan")

    with pytest.raises(TrainingError, match="lower learning rate"):
        next(fit(small_network(), square, lost, Plan(steps=2, every=2), checkpoint=tmp_path / "c.pt"))


def test_a_full_disk_keeps_the_last_checkpoint(tmp_path: Path) -> None:
    work = fit(small_network(), square, dice_cross_entropy, Plan(steps=6, every=2), checkpoint=tmp_path / "c.pt")
    next(work)
    before = (tmp_path / "c.pt").read_bytes()
    with full_disk(500), pytest.raises(OutputError, match="could not be written"):
        next(work)
    assert (tmp_path / "c.pt").read_bytes() == before
    assert [path.name for path in tmp_path.iterdir()] == ["c.pt"]
    wait_until_gone()


# ---- its threads


def slow(number: int) -> Sample:
    time.sleep(0.02)
    return square(number)


@pytest.mark.parametrize("when", ["before the first step", "between steps", "never closed but dropped"])
def test_closing_the_training_stops_its_threads(tmp_path: Path, when: str) -> None:
    work = fit(small_network(), slow, dice_cross_entropy, Plan(steps=1000, batch_size=2, every=1), checkpoint=tmp_path / "c.pt", workers=3)
    if when != "before the first step":
        next(work)
        assert threads_of_samples() == 3
    if when == "never closed but dropped":
        del work
    else:
        work.close()
    wait_until_gone()


def test_threads_prepare_only_a_little_ahead(tmp_path: Path) -> None:
    asked: list[int] = []

    def sample(number: int) -> Sample:
        asked.append(number)
        return square(number)

    work = fit(
        small_network(), sample, dice_cross_entropy, Plan(steps=1000, batch_size=2, every=1), checkpoint=tmp_path / "c.pt", workers=2
    )
    for step, _ in enumerate(itertools.islice(work, 20), start=1):
        # Two batches, and a sample for each thread: so many are prepared, and no more while the training does not go on.
        ahead = 2 * step + 2 * 2 + 2
        until(lambda ahead=ahead: len(asked) >= ahead)
        assert len(asked) == ahead
    work.close()


@pytest.mark.parametrize("workers", [1, 3])
@pytest.mark.parametrize("failing", [0, 7])
def test_a_sample_that_fails_ends_the_training_with_its_own_error(tmp_path: Path, workers: int, failing: int) -> None:
    def sample(number: int) -> Sample:
        if number == failing:
            raise FileNotFoundError("case_7 has gone")
        return square(number)

    work = fit(
        small_network(), sample, dice_cross_entropy, Plan(steps=100, batch_size=2, every=2), checkpoint=tmp_path / "c.pt", workers=workers
    )
    with pytest.raises(FileNotFoundError, match="case_7 has gone"):
        finish(work)
    wait_until_gone()


def test_a_loss_that_fails_ends_the_training_and_its_threads(tmp_path: Path) -> None:
    def loss(logits: Tensor, targets: Tensor) -> Tensor:
        raise ValueError("no such loss")

    with pytest.raises(ValueError, match="no such loss"):
        finish(fit(small_network(), square, loss, Plan(steps=100), checkpoint=tmp_path / "c.pt", workers=2))
    wait_until_gone()
