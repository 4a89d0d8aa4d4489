"""From corrections and a parent to the weights of a child."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Generator, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import nn

from ..architecture import Architecture
from ..engines import Engine
from ..events import Epoch
from ..learning.training import Plan, fit
from ..models import LabelClass, Model
from .fitting import blended, freeze_statistics, loss, network_of, weights_of
from .prepared import Prepared
from .sampling import Mixture, Sampler, augmentation_for

Weights = dict[str, np.ndarray]

_NEW_HEAD = 10.0
"""How much faster the last layer learns where classes are added to it: they begin at nothing, in a training of a few hundred steps."""

Validate = Callable[[nn.Module], dict[str, float]]


@dataclass(frozen=True)
class Method:
    """How a child learns; the defaults were tried out on one draw of the tasks of `benchmarks/retraining.py`.

    Attributes:
        learning_rate: at its peak; None takes what suits the network, see `rate_of`.
        mixture: of corrected, changed and rehearsed samples; None takes what suits the network, see `mixture_of`.
        share: of the child in the weights that are kept, the rest being the parent's.
        batch_size: samples a step.
        average: see `Plan`.
    """

    learning_rate: float | None = None
    mixture: Mixture | None = None
    share: float = 0.75
    batch_size: int = 2
    average: float = 0.97


_RATES = {(2, "batch"): 2e-4, (3, "batch"): 1e-3}
"""Tried out on one draw of `polyp` and of `hippocampus`: at a third of the second rate a third less is regained, at two and a half times
the first one eight times as much is forgotten."""

_CAREFUL_RATE = 3e-4


def rate_of(architecture: Architecture) -> float:
    """The learning rate that suits a network."""
    return _RATES.get((architecture.spatial_dims, architecture.norm), _CAREFUL_RATE)


_MIXTURES = {2: Mixture(rehearsal=0.5, relit=0.5), 3: Mixture(rehearsal=0.25, relit=0.0)}
"""Tried out on `polyp` and `hippocampus`: in the light of others, pictures regained more; volumes, which are brought to one mean and
deviation anyway, less."""


def mixture_of(architecture: Architecture) -> Mixture:
    """The mixture of samples that suits a network."""
    return _MIXTURES[architecture.spatial_dims]


def learning(
    parent: Model,
    classes: Sequence[LabelClass],
    corrected: Sequence[Prepared],
    rehearsal: Sequence[Prepared],
    teacher: Engine,
    *,
    seconds: float,
    steps: int = 0,
    threads: int | None,
    seed: int,
    method: Method,
    labelled: Sequence[Prepared] = (),
    validate: Validate | None = None,
    clock: Callable[[], float] = time.perf_counter,
) -> Generator[Epoch, None, Weights]:
    """Train for so many seconds, or steps; an event after each step.

    Args:
        parent: to start from.
        classes: of the child, with background.
        corrected: what it learns from.
        rehearsal: images whose labels the parent gives.
        teacher: runs the parent.
        seconds: of training.
        steps: of training, in place of seconds where above 0.
        threads: of the CPU, None for all.
        seed: of everything random.
        method: see `Method`.
        labelled: images outside the corrections whose labels are known.
        validate: scores of a network, called now and then.
        clock: see `fit`.

    Returns:
        The child's weights.
    """
    threads = threads or os.cpu_count() or 1
    torch.set_num_threads(threads)
    torch.manual_seed(seed)
    out_channels = parent.architecture.out_channels if len(classes) == len(parent.classes) else len(classes)
    network = network_of(parent, out_channels)
    start = weights_of(network)
    start = {name: value.copy() for name, value in start.items()}
    freeze_statistics(network)
    mixture = method.mixture or mixture_of(parent.architecture)
    augment = augmentation_for(classes, parent.modality)
    sample = Sampler(corrected, rehearsal, parent, teacher, augment, mixture=mixture, labelled=labelled, seed=seed)
    plan = Plan(
        steps=steps or 100_000,
        batch_size=method.batch_size,
        learning_rate=method.learning_rate or rate_of(parent.architecture),
        warm_up=10,
        average=method.average,
        every=1,
        seconds=0 if steps else seconds,
    )
    pace = {"head": _NEW_HEAD} if out_channels > parent.architecture.out_channels else {}
    side_by_side = min(threads, plan.batch_size)
    events = fit(network, sample, loss, plan, checkpoint=None, validate=validate, clock=clock, pace=pace, side_by_side=side_by_side)
    child = weights_of((yield from events))
    kept = blended(start, child, method.share)
    # Half of a new class would be none.
    return {**kept, **{name: value for name, value in child.items() if name.split(".")[0] in pace}}
