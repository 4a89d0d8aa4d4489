"""Images synthesised from label maps of heads: what the head models learn from and are scored on."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
import torch

from ultralightunet.volume import Volume

NAMES = ("background", "cerebral white matter", "cerebral cortex", "extra-ventricular CSF")
SIZE = (24, 32, 28)


@pytest.fixture
def synthesis(script: Callable[[str], ModuleType]) -> ModuleType:
    return script("synthesis")


def synthesizer(synthesis: ModuleType, seed: int = 0, **more: object) -> object:
    """Boxes in boxes: skin, fluid, grey and white matter. Tissues are numbered otherwise than classes."""
    head = torch.zeros(20, 22, 24, dtype=torch.uint8)
    for tissue, inset in ((4, 2), (3, 4), (2, 5), (1, 8)):
        head[inset:-inset, inset:-inset, inset:-inset] = tissue
    head[8:10, 8:10, 8:12] = 2
    values = torch.tensor([0, 2, 3, 24, 511])
    heads = synthesis.HeadMaps((head, head.flip(0)), 1.5, torch.tensor([0, 1, 2, 3, 0]), values, NAMES)
    return synthesis.HeadSynthesizer(heads, size=SIZE, spacing=1.5, seed=seed, t1_share=lambda number: 0.5, **more)


def test_a_sample_is_the_same_in_every_run_and_unlike_the_next(synthesis: ModuleType) -> None:
    image, target = synthesizer(synthesis)(3)
    again = synthesizer(synthesis)(3)
    torch.testing.assert_close(again, (image, target), rtol=0, atol=0)
    assert image.shape == (1, *SIZE)
    assert target.shape == SIZE
    assert target.dtype == torch.uint8
    assert set(target.unique().tolist()) <= {0, 1, 2, 3}
    assert abs(float(image.mean())) < 1e-4
    assert not torch.equal(synthesizer(synthesis)(4)[0], image)
    assert not torch.equal(synthesizer(synthesis, seed=1)(3)[0], image)


def test_classes_can_be_put_together(synthesis: ModuleType) -> None:
    apart, together = (synthesizer(synthesis, target_of_class=of) for of in (None, torch.tensor([0, 1, 1, 2])))
    (_, fine), (_, coarse) = apart(0), together(0)
    assert torch.equal(coarse, torch.tensor([0, 1, 1, 2], dtype=torch.uint8)[fine.long()])


def test_a_plain_image_is_the_stored_head_at_1_mm_and_t1_like(synthesis: ModuleType) -> None:
    heads = synthesizer(synthesis)
    image, target = heads.plain(1)
    assert image.shape == target.shape == (30, 33, 36)
    # Three voxels of 1 mm are two of the second head's.
    assert torch.equal(target[::3, ::3, ::3], heads.target[heads.heads.maps[1][::2, ::2, ::2].long()])
    means = [float(image[target == k].mean()) for k in (1, 2, 3)]
    assert means == sorted(means, reverse=True)


def test_plain_scores_are_those_of_the_labels(synthesis: ModuleType, script: Callable[[str], ModuleType]) -> None:
    heads = synthesizer(synthesis)
    recipe = script("head_recipe")
    groups = {"grey and white": (1, 2), "fluid": (3,)}
    seen: list[tuple[int, ...]] = []

    def label(image: Volume) -> np.ndarray:
        seen.append(image.shape)
        truth = heads.plain(len(seen) - 1)[1].numpy()
        return np.where(truth == 3, 0, truth)

    assert recipe.plain_scores(label, heads, 2, groups) == {"grey and white": 1.0, "fluid": 0.0}
    assert seen == [(30, 33, 36)] * 2


def test_other_contrasts_come_later_and_at_once_to_a_network_that_knows_heads(script: Callable[[str], ModuleType], tmp_path: Path) -> None:
    recipe = script("head_recipe")
    begun, gone_on = recipe.t1_share_of(None), recipe.t1_share_of(tmp_path)
    assert [begun(number) for number in (0, 300, 2500, 9000)] == [1, 1, 0.5, 0.5]
    assert [gone_on(number) for number in (0, 300, 9000)] == [0.5, 0.5, 0.5]
