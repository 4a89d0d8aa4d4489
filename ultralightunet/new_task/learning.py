"""The training of a first model: in one process, or in several that PyTorch's launcher started."""

from __future__ import annotations

import os
from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn
from torch import distributed as dist

from ..errors import InputError
from ..events import Epoch
from ..learning.training import Plan, fit
from ..models import Model
from ..networks import UltraLightUNet
from ..retraining.fitting import NetworkEngine, loss, weights_of
from ..retraining.prepared import Prepared
from ..retraining.sampling import Mixture, Sampler, augmentation_for, window_of
from .wishes import Wishes

__all__ = ["NetworkEngine", "Processes", "learning", "processes"]


@dataclass(frozen=True)
class Processes:
    """Those that train together.

    Attributes:
        rank: of this one, from 0.
        count: how many.
        device: of this one.
    """

    rank: int
    count: int
    device: str

    @property
    def is_leader(self) -> bool:
        """Whether this is the one that writes."""
        return self.rank == 0

    def wait(self) -> None:
        """Until all have come so far."""
        if self.count > 1:
            dist.barrier()

    def wrapped(self, network: nn.Module) -> nn.Module:
        """The network so that all learn from the samples of all."""
        if self.count == 1:
            return network
        return nn.parallel.DistributedDataParallel(network, device_ids=[self.device] if self.device.startswith("cuda") else None)


@contextmanager
def processes(device: str) -> Iterator[Processes]:
    """This process alone, or with the others that `torchrun` started.

    Raises:
        InputError: if the device is not to be had.
    """
    count, rank, local = (int(os.environ.get(name, default)) for name, default in (("WORLD_SIZE", 1), ("RANK", 0), ("LOCAL_RANK", 0)))
    there = {"cuda": torch.cuda.is_available(), "mps": torch.backends.mps.is_available(), "cpu": True}
    chosen = next(name for name, found in there.items() if found) if device == "auto" else device
    if not there.get(chosen, False):
        raise InputError(f"expected a {chosen} device, found none that PyTorch can use; choose --device cpu")
    if count == 1:
        yield Processes(0, 1, chosen)
        return
    if chosen == "cuda":
        chosen = f"cuda:{local}"
        torch.cuda.set_device(chosen)
    # The leader may validate for a long time while the others wait for its next step.
    dist.init_process_group("nccl" if chosen.startswith("cuda") else "gloo", timeout=timedelta(hours=2))
    try:
        yield Processes(rank, count, chosen)
    finally:
        dist.destroy_process_group()


def learning(
    model: Model,
    init: Model | None,
    cases: Sequence[Prepared],
    wishes: Wishes,
    *,
    checkpoint: Path,
    validate: Callable[[nn.Module], dict[str, float]] | None,
    group: Processes,
) -> Generator[Epoch, None, dict[str, np.ndarray]]:
    """Train from `checkpoint` where there is one; the averaged weights."""
    torch.set_num_threads(wishes.threads or os.cpu_count() or 1)
    torch.manual_seed(wishes.seed)
    network = UltraLightUNet(**model.architecture.to_dict())
    if init is not None:
        _start_from(network, init)
    grids = [case.image.shape[1:] for case in cases]
    batch = wishes.batch_size or (2 if model.spatial_dims == 3 else _pictures(window_of(model, grids)))
    # No teacher: there is nothing to rehearse.
    sampler = Sampler(cases, [], model, None, augmentation_for(model.classes, model.modality), mixture=Mixture(0, 0), seed=wishes.seed)

    def sample(number: int) -> tuple[Tensor, Tensor]:
        return sampler(number * group.count + group.rank)

    plan = Plan(
        steps=wishes.steps or 1_000_000,
        batch_size=batch,
        learning_rate=wishes.learning_rate,
        warm_up=min(50, wishes.steps // 10) if wishes.steps else 20,
        average=0.99,
        every=max(1, min(50, wishes.steps // 10)) if wishes.steps else 25,
        seconds=0 if wishes.steps else wishes.minutes * 60,
    )
    trained = yield from fit(
        network,
        sample,
        loss,
        plan,
        checkpoint=checkpoint,
        validate=validate,
        device=group.device,
        workers=wishes.workers,
        parallel=group.wrapped,
        is_leader=group.is_leader,
    )
    return weights_of(trained.cpu())


def _pictures(size: tuple[int, ...]) -> int:
    """As many as make about a million pixels, at most eight."""
    return max(1, min(8, round(1_000_000 / float(np.prod(size)))))


def _start_from(network: nn.Module, init: Model) -> None:
    """Give it the weights of a model; those of another shape, the head for other classes say, stay as they are."""
    own = network.state_dict()
    given = {name: torch.from_numpy(values.astype(np.float32)) for name, values in init.weights().items()}
    network.load_state_dict({**own, **{name: value for name, value in given.items() if own[name].shape == value.shape}})
