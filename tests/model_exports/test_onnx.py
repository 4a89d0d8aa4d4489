"""An ONNX file computes what the network computes, and says what its user must know."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest
import torch

import ultralightunet as ulu
from tests.model_exports.inputs import image_for, picture_model
from ultralightunet import ModelError
from ultralightunet.engines import make_engine
from ultralightunet.models import Model
from ultralightunet.networks import network_with


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "sides"), [("volume", (32, 64, 96)), ("volume", (64, 32, 32)), ("picture", (64, 64)), ("picture", (96, 32))]
)
@pytest.mark.parametrize("batch", [1, 3])
def test_onnx_runtime_gives_our_logits_for_any_batch_and_any_multiple_of_32(
    onnx_files: dict[str, Path], models: dict[str, Model], name: str, sides: tuple[int, ...], batch: int
) -> None:
    image = image_for(models[name], *sides, batch=batch)
    expected = make_engine(models[name], engine="torch", device="cpu")(image)
    options = onnxruntime.SessionOptions()
    # Its threads spin while they wait for each other, which takes long beside other work.
    options.intra_op_num_threads = 1
    session = onnxruntime.InferenceSession(onnx_files[name], options, providers=["CPUExecutionProvider"])
    (found,) = session.run(["logits"], {"image": image})
    np.testing.assert_allclose(found, expected, atol=1e-4, rtol=1e-4)


@pytest.mark.slow
def test_an_onnx_file_says_what_its_user_must_know_and_nothing_of_this_machine(
    onnx_files: dict[str, Path], models: dict[str, Model]
) -> None:
    model, graph = models["volume"], onnx.load(onnx_files["volume"])
    onnx.checker.check_model(graph, full_check=True)
    facts = {entry.key: entry.value for entry in graph.metadata_props}
    assert (facts["name"], facts["version"], facts["licence"]) == (model.name, model.version, model.licence)
    assert [c["name"] for c in json.loads(facts["classes"])] == [c.name for c in model.classes]
    assert json.loads(facts["window"]) == [64, 64, 64]
    assert json.loads(facts["intensity"])["rule"] == "percentile"
    assert json.loads(facts["mirrored"]) == []
    assert json.loads(facts["keep_largest"]) == [[1, 2]]
    assert facts["axes"] == "batch, channel, S, A, R"
    content = onnx_files["volume"].read_bytes()
    assert str(Path(ulu.__file__).parent).encode() not in content
    assert b"stack_trace" not in content


@pytest.mark.slow
def test_a_file_whose_network_computes_something_else_is_refused(onnx_files: dict[str, Path], tmp_path: Path) -> None:
    from ultralightunet.model_exports.onnx_file import _check

    other = picture_model(tmp_path / "other")
    weights = network_with(other.architecture, other.weights())
    torch.nn.init.ones_(weights.head.weight)
    with pytest.raises(
        ModelError, match="expected the exported network of picture@1.0.0 to give the logits of the model, found a difference"
    ):
        _check(onnx_files["picture"].read_bytes(), weights, other)
