"""The kernels that the recipes train with compute what the network's own modules compute."""

from __future__ import annotations

import copy
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import torch
from torch import nn

from ultralightunet.architecture import Norm
from ultralightunet.networks import UltraLightUNet
from ultralightunet.networks.blocks import MultiKernelInvertedResidual

pytestmark = pytest.mark.skipif(shutil.which("g++") is None, reason="there is no C++ compiler (g++) here")


@pytest.fixture
def fuse(root: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[nn.Module], bool]:
    monkeypatch.syspath_prepend(str(root / "training"))
    import fused

    found: Callable[[nn.Module], bool] = fused.fuse
    return found


def block(spatial_dims: int, width_in: int, width_out: int, norm: Norm) -> MultiKernelInvertedResidual:
    """With weights far from those of an untrained one, so that clamps cut and norms matter."""
    torch.manual_seed(1)
    made = MultiKernelInvertedResidual(spatial_dims, width_in, width_out, norm)
    for parameter in made.parameters():
        if parameter.ndim == 1:
            nn.init.uniform_(parameter, 0.5, 3)
        else:
            nn.init.normal_(parameter, std=0.3)
    return made.train()


def away(found: torch.Tensor, expected: torch.Tensor) -> float:
    """How far `found` lies from `expected`, as a share of it."""
    return float((found.double() - expected.double()).norm() / expected.double().norm().clamp_min(1e-9))


def computed(module: nn.Module, image: torch.Tensor, weights: torch.Tensor) -> dict[str, torch.Tensor]:
    """Output, gradients and statistics by name, in the precision of the module."""
    kind = next(module.parameters()).dtype
    given = image.to(kind, copy=True).requires_grad_()
    out = module(given)
    (out * weights.to(kind)).sum().backward()
    gradients = {name: parameter.grad for name, parameter in module.named_parameters()}
    return {"output": out.detach(), "image": given.grad, **gradients, **dict(module.named_buffers())}


@pytest.fixture(autouse=True)
def threads(request: pytest.FixtureRequest) -> Iterator[None]:
    """One, but for the tests that ask for several: threads that wait for each other are slow on a busy machine."""
    before = torch.get_num_threads()
    torch.set_num_threads(getattr(request, "param", 1))
    yield
    torch.set_num_threads(before)


@pytest.mark.parametrize("norm", ["batch", "instance"])
@pytest.mark.parametrize(("width_in", "width_out"), [(1, 8), (3, 16), (16, 16), (20, 24)])
@pytest.mark.parametrize("size", [(17, 40), (8, 8), (9, 12, 20)], ids=str)
def test_outputs_gradients_and_statistics_are_those_of_the_network(
    fuse: Callable[[nn.Module], bool], size: tuple[int, ...], width_in: int, width_out: int, norm: Norm
) -> None:
    plain = block(len(size), width_in, width_out, norm)
    ours, exact = copy.deepcopy(plain), copy.deepcopy(plain).double()
    assert fuse(ours)
    image, weights = torch.randn(2, width_in, *size), torch.randn(2, width_out, *size)
    results = [computed(module, image, weights) for module in (ours, plain, exact)]
    for name, expected in results[2].items():
        mine, theirs = away(results[0][name], expected), away(results[1][name], expected)
        # Some gradients are differences of large numbers; PyTorch's own single precision says how much of them is rounding.
        assert mine < max(1e-4, 3 * theirs), name


class Part(nn.Module):
    """Part of a network as a module of its own."""

    def __init__(self, network: UltraLightUNet, stage: int | None) -> None:
        super().__init__()
        self.network, self.stage = network, stage

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        if self.stage is None:
            return self.network._up(x)
        attended: torch.Tensor = self.network.decoder[self.stage](x, self.network.spatial_attention)
        return attended


def away_from_start(network: UltraLightUNet) -> UltraLightUNet:
    """Weights at which clamps cut, attention differs from place to place, and norms matter."""
    for parameter in network.parameters():
        nn.init.uniform_(parameter, 0.5, 2) if parameter.ndim == 1 else nn.init.normal_(parameter, std=0.3)
    return network.train()


@pytest.mark.parametrize("stage", [0, 3, None], ids=["wide stage", "narrow stage", "twice the size"])
@pytest.mark.parametrize("size", [(1, 1), (5, 9), (16, 40), (1, 2, 3), (7, 5, 12)], ids=str)
def test_the_decoders_parts_are_those_of_the_network(fuse: Callable[[nn.Module], bool], size: tuple[int, ...], stage: int | None) -> None:
    torch.manual_seed(2)
    plain = Part(away_from_start(UltraLightUNet(spatial_dims=len(size), variant="T", norm="instance")), stage)
    if stage is not None and max(size) < 3:
        pytest.skip("PyTorch normalises no single position")
    ours, exact = copy.deepcopy(plain), copy.deepcopy(plain).double()
    assert fuse(ours)
    channels = plain.network.decoder[stage].channel_attention.squeeze.in_channels if stage is not None else 6
    image = torch.randn(2, channels, *size)
    weights = torch.randn_like(plain(image))
    results = [computed(module, image, weights) for module in (ours, plain, exact)]
    for name, expected in results[2].items():
        if expected is None:
            assert results[0][name] is None
            continue
        mine, theirs = away(results[0][name], expected), away(results[1][name], expected)
        assert mine < max(1e-4, 3 * theirs), name


def test_maxima_that_are_reached_twice_share_the_gradient(fuse: Callable[[nn.Module], bool]) -> None:
    """Behind the cut at zero, many channels are zero at the same place."""
    torch.manual_seed(3)
    plain = Part(away_from_start(UltraLightUNet(variant="T", norm="instance")), 1)
    ours = copy.deepcopy(plain)
    assert fuse(ours)
    channels = plain.network.decoder[1].channel_attention.squeeze.in_channels
    image = torch.randint(-2, 2, (2, channels, 6, 8)).clamp_min(0).float()
    weights = torch.randn_like(plain(image))
    found, expected = (computed(module, image, weights)["image"] for module in (ours, plain))
    assert away(found, expected) < 1e-3


@pytest.mark.parametrize(("spatial_dims", "norm"), [(2, "batch"), (3, "batch"), (3, "instance")])
def test_a_whole_network_has_the_gradients_of_the_plain_one(fuse: Callable[[nn.Module], bool], spatial_dims: int, norm: Norm) -> None:
    torch.manual_seed(4)
    plain = away_from_start(UltraLightUNet(spatial_dims=spatial_dims, in_channels=1, out_channels=3, variant="T", norm=norm))
    ours, exact = copy.deepcopy(plain), copy.deepcopy(plain).double()
    assert fuse(ours)
    image, weights = torch.randn(2, 1, *(64,) * spatial_dims), torch.randn(2, 3, *(64,) * spatial_dims)
    found, expected = (computed(module, image, weights) for module in (ours, exact))
    assert away(found["output"], expected["output"]) < 1e-5
    # Where rounding moves one value across a clamp, its gradient comes or goes; PyTorch's own single precision is up to 0.002 away.
    parameters = [name for name, _ in plain.named_parameters()]
    gradients = [torch.cat([result[name].double().flatten() for name in parameters]) for result in (found, expected)]
    assert away(*gradients) < 0.01


@pytest.mark.parametrize("threads", [3], indirect=True)
def test_the_number_of_threads_does_not_matter(fuse: Callable[[nn.Module], bool]) -> None:
    exact = block(3, 8, 8, "instance")
    ours = copy.deepcopy(exact)
    assert fuse(ours)
    exact = exact.double()
    image, weights = torch.randn(2, 8, 8, 12, 20), torch.randn(2, 8, 8, 12, 20)
    found, expected = (computed(module, image, weights) for module in (ours, exact))
    assert away(found["output"], expected["output"]) < 1e-4
    assert away(found["image"], expected["image"]) < 1e-3


@pytest.mark.parametrize("spatial_dims", [2, 3])
def test_in_evaluation_nothing_changes(fuse: Callable[[nn.Module], bool], spatial_dims: int) -> None:
    ours = UltraLightUNet(spatial_dims=spatial_dims, variant="T").eval()
    plain = copy.deepcopy(ours)
    assert fuse(ours)
    image = torch.randn(1, 3, *(32,) * spatial_dims)
    with torch.inference_mode():
        torch.testing.assert_close(ours(image), plain(image), rtol=0, atol=0)


def test_a_copy_of_a_fused_network_trains_its_own_weights(fuse: Callable[[nn.Module], bool]) -> None:
    ours = UltraLightUNet(variant="T").train()
    assert fuse(ours)
    other = copy.deepcopy(ours)
    other(torch.randn(2, 3, 64, 64)).sum().backward()
    assert all(p.grad is None for p in ours.parameters())
    assert all(p.grad is not None for p in other.parameters())


def test_a_strided_convolution_is_left_as_it_is(fuse: Callable[[nn.Module], bool]) -> None:
    """Networks of others may be given, too."""
    network = nn.Sequential(nn.Conv3d(2, 3, 1, stride=2), nn.Conv3d(3, 3, 1)).train()
    image = torch.randn(1, 2, 8, 8, 8)
    expected = network(image)
    assert fuse(network)
    torch.testing.assert_close(network(image), expected)
