"""Reads the parameter names of the authors' published 2D network."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from torch import Tensor

_BLOCK = {
    "pconv1.": "expand.",
    "multi_scale_dwconv.dwconvs.": "depthwise.branches.",
    "pconv2.": "project.",
    "conv1x1.": "residual.",
}
_GATE = {"W_g.": "gate.", "W_x.": "skip.", "psi.": "attend."}
_UNUSED = ("out1.", "out2.", "out3.")


def _renamed(rest: str, table: Mapping[str, str]) -> str | None:
    return next((new + rest.removeprefix(old) for old, new in table.items() if rest.startswith(old)), None)


def _our_name(name: str) -> str | None:
    stage, _, rest = name.partition(".")
    number = int(stage[-1]) - 1 if stage[-1:].isdigit() else 0
    if stage.startswith("encoder"):
        new = _renamed(rest.removeprefix("0."), _BLOCK)
        return new and f"encoder.{number}.{new}"
    if stage.startswith("decoder"):
        new = _renamed(rest.removeprefix("0."), _BLOCK)
        return new and f"decoder.{number}.block.{new}"
    if stage.startswith("CA"):
        new = _renamed(rest, {"fc1.": "squeeze.", "fc2.": "excite."})
        return new and f"decoder.{number}.channel_attention.{new}"
    if stage.startswith("AG"):
        new = _renamed(rest, _GATE)
        return new and f"gates.{number}.{new}"
    return {"SA": f"spatial_attention.{rest}", "out4": f"head.{rest}"}.get(stage)


def convert_official_state_dict(state_dict: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The authors' parameter names -> ours; their three auxiliary heads, which their forward pass does not return, are dropped.

    Args:
        state_dict: as saved by the authors' `MK_UNet_T`, `_S`, base, `_M` or `_L`; a `module.` prefix left by data
            parallel training is accepted.

    Raises:
        ValueError: for a name that the published network does not have.

    Example:
        >>> import torch
        >>> import ultralightunet as ulu
        >>> theirs = {"out4.weight": torch.zeros(1, 16, 1, 1), "out1.weight": torch.zeros(1, 96, 1, 1)}
        >>> list(ulu.convert_official_state_dict(theirs))
        ['head.weight']
    """
    converted = {}
    for name, tensor in state_dict.items():
        theirs = name.removeprefix("module.")
        if theirs.startswith(_UNUSED):
            continue
        ours = _our_name(theirs)
        if ours is None:
            raise ValueError(
                f"expected the parameter names of the authors' 2D network (encoder1..5, decoder1..5, AG1..4, CA1..5, SA, out1..4), "
                f"found {name!r}; give a state_dict of that network"
            )
        converted[ours] = tensor
    return converted
