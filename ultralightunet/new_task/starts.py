"""What a training may start from: nothing, or the weights of a network that has learned something else."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor

from ..architecture import VARIANTS
from ..errors import ModelError
from ..models import Model, list_models
from ..networks import UltraLightUNet
from ..prompting.network import prompt_model
from ..retraining.fitting import freeze_statistics
from .wishes import Wishes

_LOG = logging.getLogger(__name__)

_LOOKS_AT = 3
"""Channels of the prompt network that hold the picture; the others hold what was said."""


@dataclass(frozen=True)
class Start:
    """Weights that a training may start from.

    Attributes:
        model: whose weights they are, None for random ones.
    """

    model: Model | None = None

    @property
    def name(self) -> str:
        """NAME@VERSION, "" for random weights."""
        return self.model.id if self.model else ""

    def facts(self, model: Model) -> Model:
        """`model` as a network that can hold these weights: with their widths and norm."""
        if self.model is None:
            return model
        own = self.model.architecture
        return replace(model, architecture=replace(model.architecture, channels=own.channels, norm=own.norm), parent=self.name)

    def network(self, model: Model) -> UltraLightUNet:
        """The network of `model`, which is one of `facts`, with these weights as far as they fit."""
        network = UltraLightUNet(**model.architecture.to_dict())
        if self.model is None:
            return network
        own = network.state_dict()
        given = {name: torch.from_numpy(values.astype(np.float32)) for name, values in self.model.weights().items()}
        first = _first_layers(given, model)
        fitting = {name: value for name, value in {**given, **first}.items() if name in own and own[name].shape == value.shape}
        network.load_state_dict({**own, **fitting})
        freeze_statistics(network)
        return network


def _first_layers(given: dict[str, Tensor], model: Model) -> dict[str, Tensor]:
    """The layers that see the image, for as many channels as this model's has: grey counts as colour with all channels alike."""
    wanted = model.architecture.in_channels
    found: dict[str, Tensor] = {}
    for name in ("encoder.0.expand.0.weight", "encoder.0.residual.weight"):
        if name not in given:
            continue
        weight = given[name]
        seen = weight[:, :_LOOKS_AT] if weight.shape[1] > _LOOKS_AT else weight
        if seen.shape[1] != wanted:
            seen = seen.sum(1, keepdim=True).repeat(1, wanted, *(1,) * (weight.ndim - 2)) / wanted
        found[name] = seen
    return found


def possible_starts(model: Model, wishes: Wishes) -> tuple[Start, ...]:
    """The starts among which some steps of each are to choose, that from nothing first.

    Pictures: the network that answers prompts, and shipped ones of the same modality. More of them would eat up the time that they might
    save. Volumes: none, since those of the head models are normalised by their own statistics, see `choosing`.
    """
    return (Start(), *(Start(other) for other in _others(model) if _suits(other, wishes)))


def _others(model: Model) -> Iterator[Model]:
    shipped = [other for other in list_models() if not other.origin and other.spatial_dims == model.spatial_dims]
    if model.spatial_dims == 3:
        return
    try:
        yield prompt_model()
    except ModelError as error:
        _LOG.debug("the prompt network is no start: %s", error)
    yield from (other for other in shipped if other.modality.lower() == model.modality.lower())


def _suits(other: Model, wishes: Wishes) -> bool:
    """Whether it has the network that was asked for, as far as one was."""
    if wishes.variant or wishes.channels:
        return other.architecture.channels == (wishes.channels or VARIANTS[wishes.variant])
    return wishes.norm in (None, other.architecture.norm)
