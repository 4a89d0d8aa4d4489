"""A network made twice as wide computes the same, and then learns more than one thing with its two copies of everything."""

from __future__ import annotations

import pytest
import torch

from ultralightunet.architecture import VARIANTS
from ultralightunet.networks import UltraLightUNet

pytestmark = pytest.mark.usefixtures("one_thread")


def narrow_network(spatial_dims: int, in_channels: int, out_channels: int, norm: str) -> UltraLightUNet:
    """Of large random weights, and statistics to match, so that every layer counts."""
    torch.manual_seed(0)
    network = UltraLightUNet(spatial_dims=spatial_dims, in_channels=in_channels, out_channels=out_channels, variant="S", norm=norm)
    for parameter in network.parameters():
        parameter.data.normal_(std=0.3)
    for _ in range(3):
        network(torch.randn(2, in_channels, *(64,) * spatial_dims))
    return network.eval()


@pytest.mark.parametrize(
    ("spatial_dims", "in_channels", "out_channels", "norm"), [(2, 3, 1, "batch"), (3, 1, 3, "batch"), (3, 1, 4, "instance")]
)
@torch.no_grad()
def test_a_network_twice_as_wide_computes_the_same(script, spatial_dims: int, in_channels: int, out_channels: int, norm: str) -> None:
    narrow = narrow_network(spatial_dims, in_channels, out_channels, norm)
    settings = {**narrow.architecture.to_dict(), "channels": VARIANTS["B"]}
    wide = UltraLightUNet(**settings).eval()
    wide.load_state_dict(script("widening").twice_as_wide(narrow.state_dict(), narrow.architecture))
    image = torch.randn(1, in_channels, *(64,) * spatial_dims)
    expected = narrow(image)
    assert expected.std() > 0.01
    torch.testing.assert_close(wide(image), expected, rtol=0, atol=1e-3 * float(expected.std()))


def test_the_two_copies_of_a_channel_part(script) -> None:
    """What reads them weighs them differently, so they are pulled differently."""
    narrow = narrow_network(2, 3, 1, "batch")
    wide = UltraLightUNet(**{**narrow.architecture.to_dict(), "channels": VARIANTS["B"]})
    wide.load_state_dict(script("widening").twice_as_wide(narrow.state_dict(), narrow.architecture))
    wide.train()(torch.randn(2, 3, 64, 64)).square().sum().backward()
    for name, parameter in wide.named_parameters():
        if name.endswith("depthwise.branches.1.0.weight") and not name.startswith("encoder.0"):
            pairs = parameter.detach().flatten(1).reshape(-1, 2, 2, 9)
            torch.testing.assert_close(pairs[:, 0], pairs[:, 1])
            slopes = parameter.grad.flatten(1).reshape(-1, 2, 2, 9)
            assert float((slopes[:, 0] - slopes[:, 1]).norm() / slopes.norm()) > 0.05, name
