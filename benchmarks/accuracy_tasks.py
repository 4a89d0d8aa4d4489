"""What `accuracy.py` compares networks on: crops of the hippocampus and pictures of breast lesions, from the recipes in `training/`."""

from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
from peers import PEERS_2D, PEERS_3D, peer
from torch import Tensor, nn

sys.path.insert(0, str(Path(__file__).parent.parent / "training"))
import breast_lesion
import hippocampus
import picture_recipe
from fused import fuse
from pictures import Sampler as PictureSampler
from pictures import load as load_picture

from ultralightunet.learning.losses import boundary_weighted_bce_iou, dice_cross_entropy
from ultralightunet.learning.training import Sample
from ultralightunet.models import Model
from ultralightunet.networks import UltraLightUNet

OURS = "UltraLightUNet"
NETWORKS = (OURS, *PEERS_3D)


@dataclass(frozen=True)
class Task:
    """What is learnt, and how it is measured.

    Attributes:
        name: of the task.
        model: the facts that its recipe has; the network is exchanged.
        input: (C, *S) of what the network sees, in training and afterwards.
        peers: names of MONAI's networks.
        sample: training samples by number.
        loss: of the recipe.
        batch: samples in a step.
        score: Dice of the labels (*S) of a validation case.
        cases: validation cases.
    """

    name: str
    model: Model
    input: tuple[int, ...]
    peers: tuple[str, ...]
    sample: Callable[[int], Sample]
    loss: Callable[[Tensor, Tensor], Tensor]
    batch: int
    score: Callable[[np.ndarray, Path], float]
    cases: list[Path]

    def network(self, name: str) -> nn.Module:
        """A new network, the same weights each time."""
        torch.manual_seed(0)
        architecture = self.model.architecture
        if name == OURS:
            network = UltraLightUNet(**architecture.to_dict())
            if not fuse(network):
                raise SystemExit("expected a C++ compiler for the kernels that UltraLightUNet trains through, found none; install g++")
            return network
        channels = {"in_channels": architecture.in_channels, "out_channels": architecture.out_channels}
        # nnU-Net plans four levels for crops of this size.
        return peer(name, spatial_dims=architecture.spatial_dims, levels=4, **channels)


def hippocampus_task(data: Path, variant: str) -> Task:
    """The recipe's small crops, and windows of that size."""
    facts = hippocampus.model_facts(data, variant)
    model = replace(facts, spacing=(hippocampus.EARLY_SPACING,) * 3, window=hippocampus.EARLY_SIZE, whole=0.0)
    training, validation = hippocampus.split(data / "hippocampus")
    sampler = hippocampus.Sampler([hippocampus.load(path, model) for path in training], early=sys.maxsize)
    size = (1, *hippocampus.EARLY_SIZE)
    return Task("hippocampus", model, size, PEERS_3D, sampler, dice_cross_entropy, 2, hippocampus.mean_dice, validation)


def breast_task(data: Path, variant: str) -> Task:
    """Pictures of 256x256 pixels, changed as in the recipe; each is seen once, not mirrored besides, so that one pass is compared."""
    recipe = breast_lesion.task(data / "busi", data, variant)
    pictures = [load_picture(path, channels=recipe.channels) for path in recipe.training]
    sampler = PictureSampler(pictures, recipe.augment, recipe.model, batch_size=picture_recipe.BATCH, scales=(1.0,))
    size = (recipe.model.architecture.in_channels, *breast_lesion.SIZE)
    model, loss, batch = replace(recipe.model, mirrored=()), boundary_weighted_bce_iou, picture_recipe.BATCH
    return Task("breast lesion", model, size, PEERS_2D, sampler, loss, batch, picture_recipe.mask_dice, list(recipe.validation))


MAKERS = {"hippocampus": hippocampus_task, "breast": breast_task}
