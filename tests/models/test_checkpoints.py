"""A checkpoint of the authors' network becomes a model that computes the same; nothing in a file is ever run."""

from __future__ import annotations

import pickle
import random
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file

from tests.models.authors_checkpoints import Opener, their_name
from tests.small_models import random_weights
from ultralightunet import ModelError, UltraLightUNet, load_model
from ultralightunet.architecture import VARIANTS, Architecture
from ultralightunet.engines import make_engine
from ultralightunet.models import Model
from ultralightunet.models.checkpoints import distinct_color, import_checkpoint


@pytest.fixture(scope="module")
def architecture() -> Architecture:
    return Architecture(2, 3, 1, VARIANTS["T"])


@pytest.fixture
def state(architecture: Architecture) -> dict[str, torch.Tensor]:
    """A state_dict as the authors' code saves it: their names, batch counters, auxiliary heads."""
    weights = {their_name(name): torch.from_numpy(values).float() for name, values in random_weights(architecture).items()}
    counters = {name.replace("running_mean", "num_batches_tracked"): torch.tensor(7) for name in weights if name.endswith("running_mean")}
    heads = {f"out{n}.{kind}": torch.zeros(shape) for n in (1, 2, 3) for kind, shape in (("weight", (1, 8, 1, 1)), ("bias", (1,)))}
    return {**weights, **counters, **heads}


def imported(folder: Path, content: Any, **options: Any) -> Model:
    file = folder / "checkpoint.pth"
    torch.save(content, file)
    return import_checkpoint(file, folder / "model", name="imported", **options)


def refused(folder: Path, file: Path) -> str:
    """The sentence that a file is refused with; nothing may be left of the attempt."""
    before = sorted(folder.rglob("*"))
    with pytest.raises(ModelError) as caught:
        import_checkpoint(file, folder / "model", name="imported")
    assert sorted(folder.rglob("*")) == before
    assert "\n" not in str(caught.value)
    return str(caught.value)


# ---- the same network


@pytest.mark.parametrize(
    ("name", "widths", "classes"), [("tiny_rgb_binary", "T", 1), ("base_rgb_4class", "B", 4), ("tiny_gray_binary", "T", 1)]
)
def test_the_authors_weights_give_the_authors_outputs_through_openvino(
    tmp_path: Path, shared: Path, name: str, widths: str, classes: int
) -> None:
    model = import_checkpoint(shared / "golden" / f"{name}.state_dict.safetensors", tmp_path / "model", name="golden")
    assert model.architecture == Architecture(2, 3, classes, VARIANTS[widths])
    reference = load_file(shared / "golden" / f"{name}.io.safetensors")
    batch, golden = reference["input"].expand(-1, 3, -1, -1).contiguous(), reference["output"].numpy()
    found = make_engine(model, engine="openvino", threads=1)(batch.numpy())
    # Of what the engine computes: the network with the weights as they are stored, in double precision.
    network = UltraLightUNet(**model.architecture.to_dict()).double().eval()
    network.load_state_dict({key: torch.from_numpy(value.astype(np.float64)) for key, value in model.weights().items()}, strict=False)
    with torch.no_grad():
        halved = network(batch.double()).numpy()
    assert np.abs(found - halved).max() < 1e-3 * np.ptp(golden)
    # Of what half precision costs: a unit in the last place is a two-thousandth of a weight, and thirty layers pass it on.
    assert np.abs(found - golden).mean() < 0.02 * golden.std()
    assert np.median(np.abs(found - golden)) < 0.01 * golden.std()
    labels = (found > 0, golden > 0) if classes == 1 else (found.argmax(1), golden.argmax(1))
    assert (labels[0] != labels[1]).mean() < 0.01


def test_every_weight_arrives_under_our_name(tmp_path: Path, architecture: Architecture, state: dict[str, torch.Tensor]) -> None:
    model = imported(tmp_path, state)
    expected = random_weights(architecture)
    assert model.weights().keys() == expected.keys()
    for name, values in model.weights().items():
        np.testing.assert_array_equal(values, expected[name].astype(np.float32).astype(np.float16))


# ---- the shapes in which people keep a state_dict


@pytest.mark.parametrize("key", ["state_dict", "model_state_dict", "model"])
def test_a_training_checkpoint_is_opened(tmp_path: Path, state: dict[str, torch.Tensor], key: str) -> None:
    content = {"epoch": 12, "best": 0.93, key: state, "optimizer": {"state": {}, "param_groups": [{"lr": 1e-4, "params": [0]}]}}
    assert imported(tmp_path, content).weights()["head.bias"].shape == (1,)


@pytest.mark.parametrize(
    "kept", ["module. prefix", "bfloat16", "double", "float16", "parameters", "channels last", "safetensors", "legacy file"]
)
def test_a_state_dict_is_taken_however_it_is_kept(tmp_path: Path, state: dict[str, torch.Tensor], kept: str) -> None:
    expected = imported(tmp_path, state).weights()
    types = {"bfloat16": torch.bfloat16, "double": torch.float64, "float16": torch.float16}
    if kept in types:
        state = {name: value.to(types[kept]) if value.is_floating_point() else value for name, value in state.items()}
    elif kept == "module. prefix":
        state = {f"module.{name}": value for name, value in state.items()}
    elif kept == "parameters":
        state = {name: torch.nn.Parameter(value) if value.is_floating_point() else value for name, value in state.items()}
    elif kept == "channels last":
        state = {n: v.contiguous(memory_format=torch.channels_last) if v.ndim == 4 else v for n, v in state.items()}
    file = tmp_path / ("again.safetensors" if kept == "safetensors" else "again.pt")
    if kept == "safetensors":
        save_file(state, file)
    else:
        torch.save(state, file, _use_new_zipfile_serialization=kept != "legacy file")
    found = import_checkpoint(file, tmp_path / "again", name="again").weights()
    for name, values in expected.items():
        np.testing.assert_allclose(found[name], values, rtol=2**-7 if kept == "bfloat16" else 2**-10, atol=1e-7)


def test_a_model_knows_what_it_was_told(tmp_path: Path) -> None:
    weights = {their_name(n): torch.from_numpy(v).float() for n, v in random_weights(Architecture(2, 1, 4, VARIANTS["S"])).items()}
    model = imported(
        tmp_path, weights, classes=("liver", "spleen", "kidney"), size=(100, 64), modality="US", title="Organs", licence="MIT", version="3"
    )
    assert [c.name for c in model.classes] == ["background", "liver", "spleen", "kidney"]
    assert len({c.color for c in model.classes}) == 4
    assert (model.size, model.window, model.modality, model.title, model.id) == ((100, 64), (128, 64), "US", "Organs", "imported@3")
    assert (model.folder / "LICENSE").read_text() == "Licence of these weights: MIT\n"
    assert "Research use only" in model.intended_use
    assert load_model(model.folder).architecture == Architecture(2, 1, 4, VARIANTS["S"])


def test_labels_have_a_colour_of_their_own_that_stays() -> None:
    colours = [distinct_color(number) for number in range(1, 40)]
    assert len(set(colours)) == len(colours)
    assert all(0 <= value <= 255 for colour in colours for value in colour)
    assert colours[0] == distinct_color(1)


@pytest.mark.parametrize("kind", ["torch", "torch legacy", "pickle", "named safetensors", "beside the weights"])
def test_code_in_a_checkpoint_is_refused_and_never_run(tmp_path: Path, state: dict[str, torch.Tensor], kind: str) -> None:
    marker = tmp_path / "marker"
    file = tmp_path / ("checkpoint.safetensors" if kind == "named safetensors" else "checkpoint.pth")
    content = {**state, "extra": Opener(marker)} if kind == "beside the weights" else Opener(marker)
    if kind in ("pickle", "named safetensors"):
        file.write_bytes(pickle.dumps(content))
    else:
        torch.save(content, file, _use_new_zipfile_serialization=kind != "torch legacy")
    assert "files with code in them are never run" in refused(tmp_path, file)
    assert not marker.exists()
    # The trap works: whoever unpickles carelessly springs it.
    if kind == "pickle":
        pickle.loads(file.read_bytes())
        assert marker.exists()


@pytest.mark.parametrize("content", [b"", b"<html>not found</html>", b"PK\x05\x06" + bytes(18), bytes(5000)], ids=lambda c: c[:6].hex())
@pytest.mark.parametrize("suffix", [".pth", ".safetensors"])
def test_a_file_of_another_kind_is_refused(tmp_path: Path, content: bytes, suffix: str) -> None:
    file = tmp_path / f"checkpoint{suffix}"
    file.write_bytes(content)
    assert "expected a safetensors file or a PyTorch file" in refused(tmp_path, file)


@pytest.mark.parametrize("kind", ["zip", "legacy", "safetensors"])
def test_a_damaged_file_is_refused_or_read_but_never_crashes(tmp_path: Path, state: dict[str, torch.Tensor], kind: str) -> None:
    file = tmp_path / ("checkpoint.safetensors" if kind == "safetensors" else "checkpoint.pth")
    if kind == "safetensors":
        save_file(state, file)
    else:
        torch.save(state, file, _use_new_zipfile_serialization=kind == "zip")
    whole = file.read_bytes()
    dice, refusals = random.Random(kind), 0
    for attempt in range(40):
        damaged = bytearray(whole)
        if attempt % 2:
            damaged = damaged[: dice.randrange(len(damaged))]
        else:
            for _ in range(dice.randrange(1, 20)):
                damaged[dice.randrange(3000)] = dice.randrange(256)
        file.write_bytes(damaged)
        try:
            import_checkpoint(file, tmp_path / f"model-{attempt}", name="damaged")
        except ModelError:
            refusals += 1
    assert refusals >= 20
    assert len(list(tmp_path.glob("model-*"))) == 40 - refusals


class Gigabytes:
    """Unpickles as a bytearray of that size, which PyTorch takes for harmless."""

    def __reduce__(self) -> tuple[type, tuple[int]]:
        return bytearray, (3 * 2**30,)


@pytest.mark.parametrize("kind", ["packed", "overlapping", "overlapping legacy", "grown", "grown legacy", "half"])
def test_a_small_file_cannot_take_much_memory(tmp_path: Path, state: dict[str, torch.Tensor], kind: str) -> None:
    resource = pytest.importorskip("resource")
    file = tmp_path / "checkpoint.pth"
    large: Any = torch.zeros(1, dtype=torch.half if kind == "half" else torch.float).expand(10**9)
    content = {**state, "out4.weight": Gigabytes() if kind.startswith("grown") else large.reshape(10**9, 1, 1, 1)}
    if kind == "packed":
        stored, zeros = tmp_path / "stored.pth", {**state, "out4.weight": torch.zeros(3 * 10**7, 1, 1, 1)}
        torch.save(zeros, stored)
        with zipfile.ZipFile(stored) as source, zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as target:
            for name in source.namelist():
                target.writestr(name, source.read(name))
    else:
        torch.save(content, file, _use_new_zipfile_serialization="legacy" not in kind)
    assert file.stat().st_size < 2**21
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    assert "expected " in refused(tmp_path, file)
    # Kilobytes: a part of what was asked for.
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 10**5


def test_a_flipped_bit_of_the_weights_is_noticed(tmp_path: Path, state: dict[str, torch.Tensor]) -> None:
    file = tmp_path / "checkpoint.pth"
    torch.save(state, file)
    whole = file.read_bytes()
    place = whole.index(state["out4.weight"].numpy().tobytes())
    file.write_bytes(whole[:place] + bytes([whole[place] ^ 1]) + whole[place + 1 :])
    assert "expected a safetensors file or a PyTorch file" in refused(tmp_path, file)


@pytest.mark.parametrize(
    "content", [{}, [], None, 3, "text", torch.zeros(3), {"epoch": 3}, {1: torch.zeros(1)}], ids=lambda c: repr(c)[:12]
)
def test_what_is_no_state_dict_is_refused(tmp_path: Path, content: Any) -> None:
    torch.save(content, tmp_path / "checkpoint.pth")
    sentence = refused(tmp_path, tmp_path / "checkpoint.pth")
    assert "expected a " in sentence
    assert "save model.state_dict()" in sentence


def test_another_network_is_refused_by_the_first_name_that_is_not_the_authors(tmp_path: Path) -> None:
    torch.save(torch.nn.Sequential(torch.nn.Conv2d(3, 8, 3)).state_dict(), tmp_path / "checkpoint.pth")
    sentence = refused(tmp_path, tmp_path / "checkpoint.pth")
    assert "expected the parameter names of the authors' 2D network" in sentence
    assert "'0.weight'" in sentence


@pytest.mark.parametrize(
    ("lost", "named"),
    [("encoder3.", "encoder.2"), ("out4.", "head"), ("decoder2.", "decoder.1"), ("AG1.", "gates.0"), ("SA.", "spatial_attention")],
)
def test_missing_stages_are_named(tmp_path: Path, state: dict[str, torch.Tensor], lost: str, named: str) -> None:
    torch.save({name: value for name, value in state.items() if not name.startswith(lost)}, tmp_path / "checkpoint.pth")
    assert named in refused(tmp_path, tmp_path / "checkpoint.pth")


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("encoder1.0.pconv2.0.weight", torch.tensor(1.0)),
        ("encoder1.0.pconv2.0.weight", torch.zeros(0, 6, 1, 1)),
        ("encoder1.0.pconv1.0.weight", torch.zeros(6, 3, 1, 1, 1)),
        ("encoder1.0.pconv1.0.weight", torch.zeros(3)),
        ("encoder7.0.pconv1.0.weight", torch.zeros(6, 3, 1, 1)),
        ("encoder2.0.pconv1.0.weight", torch.zeros(6, 3, 1, 1)),
        ("out4.weight", torch.tensor(1.0)),
        ("out4.bias", torch.tensor([float("nan")])),
        ("out4.bias", torch.tensor([1e9])),
        ("out4.bias", torch.tensor([1j])),
        ("out4.bias", torch.tensor([1.0]).to_sparse()),
        ("out4.bias", torch.zeros(1, device="meta")),
        ("out4.bias", 1.0),
        ("other.weight", torch.zeros(1)),
    ],
    ids=lambda part: part if isinstance(part, str) else repr(part)[:30],
)
def test_weights_that_make_no_network_are_refused(tmp_path: Path, state: dict[str, torch.Tensor], name: str, value: Any) -> None:
    torch.save({**state, name: value}, tmp_path / "checkpoint.pth")
    assert "expected" in refused(tmp_path, tmp_path / "checkpoint.pth")


@pytest.mark.parametrize(
    "options",
    [{"classes": ("one", "two")}, {"size": (0, 0)}, {"size": (-32, 64)}, {"name": "../outside"}, {"name": ""}, {"version": ""}],
    ids=str,
)
def test_what_makes_no_model_is_refused(tmp_path: Path, state: dict[str, torch.Tensor], options: dict[str, Any]) -> None:
    torch.save(state, tmp_path / "checkpoint.pth")
    with pytest.raises(ModelError, match="expected"):
        import_checkpoint(tmp_path / "checkpoint.pth", tmp_path / "model", **{"name": "imported", **options})
    assert [path.name for path in tmp_path.iterdir()] == ["checkpoint.pth"]


@pytest.mark.parametrize("file", ["nothing.pth", "."])
def test_a_file_that_is_not_there_is_named(tmp_path: Path, file: str) -> None:
    assert f"found none at {tmp_path / file}" in refused(tmp_path, tmp_path / file)


def test_an_existing_folder_is_not_touched(tmp_path: Path, state: dict[str, torch.Tensor]) -> None:
    imported(tmp_path, state)
    assert "never rewritten" in refused(tmp_path, tmp_path / "checkpoint.pth")
