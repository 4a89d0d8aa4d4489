"""Models for other tools, read by those tools: MONAI runs the bundle, ONNX Runtime the file."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
import onnx
import onnxruntime
import pytest
import torch
from monai.bundle import ConfigParser, ConfigWorkflow, verify_net_in_out
from PIL import Image

import ultralightunet as ulu
from tests.cli.test_cli import Command, sentence, ultralight
from tests.io_files import write_nii
from tests.models.test_models import full_disk
from tests.small_models import small_model
from ultralightunet import InputError, ModelError, OutputError
from ultralightunet import model_exports as exports
from ultralightunet.cli import main
from ultralightunet.cli.export_model import FORMATS as TOLD
from ultralightunet.engines import make_engine
from ultralightunet.model_exports import FORMATS, export_model
from ultralightunet.models import Intensity, Model
from ultralightunet.networks import network_with

__all__ = ["ultralight"]

MANDATORY = {
    "version",
    "monai_version",
    "pytorch_version",
    "numpy_version",
    "required_packages_version",
    "task",
    "description",
    "authors",
    "copyright",
    "network_data_format",
}
"""What MONAI's bundle specification asks of metadata.json."""

TENSOR = {"type", "format", "modality", "num_channels", "spatial_shape", "dtype", "value_range", "is_patch_data", "channel_def"}
"""And of each input and output of the network."""


def volume_model(folder: Path, **facts: Any) -> Model:
    """Its random weights make several classes of noise, not one."""
    return small_model(folder, name="volume", norm="instance", window=(64, 64, 64), seed=3, keep_largest=((1, 2),), **facts)


def picture_model(folder: Path, **facts: Any) -> Model:
    rule = Intensity("scale", 0, 255, (0.5, 0.4, 0.3), (0.25, 0.2, 0.3))
    return small_model(folder, name="picture", spatial_dims=2, in_channels=3, classes=2, window=(64, 64), intensity=rule, seed=8, **facts)


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Model]:
    folder = tmp_path_factory.mktemp("models")
    window = Intensity("window", -100, 300, (40.0,), (80.0,))
    return {
        "volume": volume_model(folder / "volume", whole=1.0),
        "windows": volume_model(folder / "windows"),
        "ct": small_model(folder / "ct", name="ct", intensity=window, seed=3),
        "picture": picture_model(folder / "picture", mirrored=(1,)),
    }


@pytest.fixture(scope="module")
def bundles(models: dict[str, Model], tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    folder = tmp_path_factory.mktemp("bundles")
    return {name: export_model(model, folder / name, format="monai-bundle") for name, model in models.items()}


@pytest.fixture(scope="module")
def onnx_files(models: dict[str, Model], tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """By the command; converting takes PyTorch most of a minute, so it is done once for each of two models."""
    folder = tmp_path_factory.mktemp("onnx") / "new"
    files = {name: folder / f"{name}.onnx" for name in ("volume", "picture")}
    for name, path in files.items():
        assert main(["export-model", str(models[name].folder), "-o", str(path), "--format", "onnx"]) == 0
    assert everything_in(folder) == ["picture.onnx", "volume.onnx"], "nothing is left beside them"
    return files


def parser_of(bundle: Path) -> ConfigParser:
    parser = ConfigParser()
    parser.read_config(str(bundle / "configs" / "inference.json"))
    parser.read_meta(str(bundle / "configs" / "metadata.json"))
    return parser


def image_for(model: Model, *sides: int, batch: int = 1) -> np.ndarray:
    shape = (batch, model.architecture.in_channels, *sides)
    return np.random.default_rng(0).normal(size=shape).astype(np.float32)


def scan_in(folder: Path, array: np.ndarray, affine: np.ndarray) -> Path:
    folder.mkdir()
    return write_nii(folder / "scan.nii.gz", array, affine)


def picture_in(folder: Path, sides: tuple[int, int]) -> Path:
    folder.mkdir()
    Image.fromarray(np.random.default_rng(0).integers(0, 256, (*sides, 3)).astype(np.uint8)).save(folder / "frame.png")
    return folder / "frame.png"


def everything_in(folder: Path) -> list[str]:
    return sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*"))


# ---- a MONAI bundle


def test_a_bundle_has_the_files_that_monai_expects_and_the_models_licence(bundles: dict[str, Path], models: dict[str, Model]) -> None:
    for name, bundle in bundles.items():
        assert [path for path in everything_in(bundle) if "." in path or path == "LICENSE"] == [
            "LICENSE",
            "configs/inference.json",
            "configs/metadata.json",
            "docs/README.md",
            "models/model.pt",
        ]
        assert (bundle / "LICENSE").read_bytes() == (models[name].folder / "LICENSE").read_bytes()


def test_the_metadata_say_what_monai_asks_for_and_keep_the_models_own_facts(bundles: dict[str, Path], models: dict[str, Model]) -> None:
    for name, bundle in bundles.items():
        found = json.loads((bundle / "configs" / "metadata.json").read_text())
        assert found.keys() >= MANDATORY
        assert found["pytorch_version"] == torch.__version__.partition("+")[0]
        assert found["ultralight"] == models[name].metadata["ultralight"]
        for tensor in (found["network_data_format"]["inputs"]["image"], found["network_data_format"]["outputs"]["pred"]):
            assert tensor.keys() >= TENSOR
            assert len(tensor["channel_def"]) == tensor["num_channels"]


@pytest.mark.parametrize("name", ["volume", "ct", "picture"])
def test_monai_builds_the_network_whose_weights_fit_and_whose_logits_are_the_same(
    bundles: dict[str, Path], models: dict[str, Model], name: str
) -> None:
    model = models[name]
    network = parser_of(bundles[name]).get_parsed_content("network_def").eval()
    network.load_state_dict(torch.load(bundles[name] / "models" / "model.pt", weights_only=True), strict=True)
    image = image_for(model, *model.window)
    with torch.inference_mode():
        found = network(torch.from_numpy(image)).numpy()
    np.testing.assert_array_equal(found, make_engine(model, engine="torch", device="cpu")(image))


@pytest.mark.parametrize("name", ["volume", "picture"])
def test_monais_own_check_of_a_networks_input_and_output_passes(bundles: dict[str, Path], name: str) -> None:
    configs = bundles[name] / "configs"
    verify_net_in_out(
        net_id="network_def", meta_file=str(configs / "metadata.json"), config_file=str(configs / "inference.json"), device="cpu"
    )


def run_bundle(bundle: Path, images: Path, out: Path) -> None:
    workflow = ConfigWorkflow(
        config_file=str(bundle / "configs" / "inference.json"),
        meta_file=str(bundle / "configs" / "metadata.json"),
        logging_file=False,
        workflow_type="infer",
        bundle_root=str(bundle),
        dataset_dir=str(images),
        output_dir=str(out),
    )
    workflow.initialize()
    assert not workflow.check_properties()
    workflow.run()
    workflow.finalize()


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("name", ["volume", "windows", "ct"])
def test_monai_runs_a_bundle_on_a_volume_that_lies_otherwise_and_labels_it_as_we_do(
    bundles: dict[str, Path], models: dict[str, Model], tmp_path: Path, name: str
) -> None:
    # Axes exchanged and reversed; no resampling, which MONAI does in another way.
    affine = np.array([[0, -2.0, 0, 5], [0, 0, 2.0, -7], [-2.0, 0, 0, 9], [0, 0, 0, 1]])
    array = np.random.default_rng(1).normal(100, 60, (40, 26, 80)).astype(np.float32)
    path = scan_in(tmp_path / "images", array, affine)
    run_bundle(bundles[name], path.parent, tmp_path / "out")
    found = nib.load(tmp_path / "out" / "scan_labels.nii.gz")
    expected = ulu.segment(path, models[name]).labels.T
    assert len(np.unique(expected)) > 1
    assert found.get_data_dtype() == np.uint8
    np.testing.assert_allclose(found.affine, affine, atol=1e-4)
    # Windows lie elsewhere where there are several, and noise has more borders than anything else.
    assert np.mean(np.asarray(found.dataobj) != expected) < (0.25 if name != "volume" else 1e-3)


@pytest.mark.filterwarnings("ignore")
def test_monai_runs_a_bundle_on_pictures_and_labels_them_as_we_do(
    bundles: dict[str, Path], models: dict[str, Model], tmp_path: Path
) -> None:
    path = picture_in(tmp_path / "images", (50, 60))
    run_bundle(bundles["picture"], path.parent, tmp_path / "out")
    found = np.asarray(Image.open(tmp_path / "out" / "frame_labels.png"))
    expected = ulu.segment(path, models["picture"]).labels
    assert set(np.unique(expected)) == {0, 1}
    assert np.mean(found != expected) < 1e-3


@pytest.mark.filterwarnings("ignore")
def test_a_volume_is_resampled_as_we_do_and_its_labels_lie_on_its_own_grid(tmp_path: Path) -> None:
    model = volume_model(tmp_path / "model", spacing=(2.0, 1.5, 3.0), whole=1.0)
    bundle = export_model(model, tmp_path / "bundle", format="monai-bundle")
    affine = np.array([[0, -1.0, 0, 5], [0, 0, 1.2, -7], [-0.7, 0, 0, 9], [0, 0, 0, 1]])
    path = scan_in(tmp_path / "images", np.random.default_rng(1).normal(size=(81, 110, 90)).astype(np.float32), affine)
    run_bundle(bundle, path.parent, tmp_path / "out")
    found, expected = nib.load(tmp_path / "out" / "scan_labels.nii.gz"), ulu.segment(path, model).labels.T
    np.testing.assert_allclose(found.affine, affine, atol=1e-4)
    assert len(np.unique(expected)) > 1
    # Percentiles are estimated from some of the voxels by us.
    assert np.mean(np.asarray(found.dataobj) != expected) < 2e-3


@pytest.mark.filterwarnings("ignore")
def test_a_colour_picture_becomes_grey_where_the_model_sees_grey(tmp_path: Path) -> None:
    scale = Intensity("scale", 0, 255, (0.5,), (0.25,))
    model = small_model(tmp_path / "model", name="slice", spatial_dims=2, window=(64, 64), intensity=scale, seed=8)
    bundle = export_model(model, tmp_path / "bundle", format="monai-bundle")
    path = picture_in(tmp_path / "images", (50, 60))
    run_bundle(bundle, path.parent, tmp_path / "out")
    found, expected = np.asarray(Image.open(tmp_path / "out" / "frame_labels.png")), ulu.segment(path, model).labels
    assert len(np.unique(expected)) > 1
    # Pillow rounds the luminance to whole numbers.
    assert np.mean(found != expected) < 2e-2


@pytest.mark.filterwarnings("ignore")
def test_a_picture_is_resized_as_we_do(tmp_path: Path) -> None:
    model = picture_model(tmp_path / "model", size=(64, 64))
    bundle = export_model(model, tmp_path / "bundle", format="monai-bundle")
    path = picture_in(tmp_path / "images", (70, 60))
    run_bundle(bundle, path.parent, tmp_path / "out")
    found, expected = np.asarray(Image.open(tmp_path / "out" / "frame_labels.png")), ulu.segment(path, model).labels
    assert set(np.unique(expected)) == {0, 1}
    assert np.mean(found != expected) < 1e-3


@pytest.mark.parametrize(
    ("facts", "said"),
    [
        ({}, "percentiles are those of all voxels"),
        ({"box_is_image": True}, "The model learned from crops"),
    ],
)
def test_the_bundle_says_where_it_differs_from_ultralight(tmp_path: Path, facts: dict[str, Any], said: str) -> None:
    bundle = export_model(volume_model(tmp_path / "model", **facts), tmp_path / "bundle", format="monai-bundle")
    text = (bundle / "docs" / "README.md").read_text()
    assert said in text
    assert "Only pictures are read" not in text


def test_a_bundle_of_a_picture_model_says_how_it_differs(bundles: dict[str, Path]) -> None:
    text = (bundles["picture"] / "docs" / "README.md").read_text()
    assert "Only pictures are read" in text
    assert "grey values from 0 to 255 become 0 to 1" in text


# ---- an ONNX file


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
    session = onnxruntime.InferenceSession(onnx_files[name], providers=["CPUExecutionProvider"])
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


# ---- the command


def test_a_shipped_model_is_exported_by_name_and_its_licence_is_said(tmp_path: Path, ultralight: Command) -> None:
    out = tmp_path / "new" / "polyp"
    done = ultralight("export-model", "polyp", "-o", out, "--format", "monai-bundle")
    assert (done.code, done.err) == (0, "")
    assert done.out == f"{ulu.load_model('polyp').id} -> {out} (licence of the model: Research use only (CVC-ClinicDB))\n"
    assert [path.name for path in out.parent.iterdir()] == ["polyp"]


def test_the_command_line_knows_every_format() -> None:
    assert tuple(FORMATS) == TOLD


def test_an_empty_folder_is_filled(tmp_path: Path, models: dict[str, Model]) -> None:
    (tmp_path / "out").mkdir()
    export_model(models["volume"], tmp_path / "out", format="monai-bundle")
    assert (tmp_path / "out" / "models" / "model.pt").is_file()


@pytest.mark.parametrize(
    ("format", "name", "said"),
    [
        ("onnx", "model.pt", "expected a file that ends in .onnx"),
        ("onnx", "there.onnx", "expected a new file, found something at"),
        ("onnx", "folder.onnx", "expected a new file, found something at"),
        ("onnx", "there.txt/model.onnx", "found an obstacle"),
        ("monai-bundle", "model.onnx", "expected the name of a folder for a MONAI bundle"),
        ("monai-bundle", "full", "expected a new or empty folder"),
        ("monai-bundle", "there.txt", "expected a new or empty folder"),
        ("monai-bundle", "there.txt/bundle", "found an obstacle"),
    ],
)
def test_a_place_that_will_not_do_is_one_clear_sentence_and_stays_as_it_is(
    tmp_path: Path, ultralight: Command, models: dict[str, Model], format: str, name: str, said: str
) -> None:
    for path in ("there.onnx", "there.txt", "full/mine.txt", "folder.onnx/mine.txt"):
        (tmp_path / path).parent.mkdir(exist_ok=True)
        (tmp_path / path).write_text("mine")
    before = everything_in(tmp_path)
    done = ultralight("export-model", models["volume"].folder, "-o", tmp_path / name, "--format", format)
    assert said in sentence(done)
    assert everything_in(tmp_path) == before
    assert (tmp_path / "there.onnx").read_text() == "mine"


def test_an_unknown_model_is_one_clear_sentence(tmp_path: Path, ultralight: Command) -> None:
    assert "expected a model folder or an installed model" in sentence(
        ultralight("export-model", "liver", "-o", tmp_path / "out", "--format", "monai-bundle")
    )
    assert everything_in(tmp_path) == []


def test_an_unknown_format_is_said(tmp_path: Path, models: dict[str, Model]) -> None:
    with pytest.raises(InputError, match="expected a format monai-bundle or onnx, found 'coreml'"):
        export_model(models["volume"], tmp_path / "out", format="coreml")


@pytest.mark.parametrize(("format", "needed"), exports.NEEDED.items())
def test_a_missing_package_is_one_clear_sentence(
    tmp_path: Path, ultralight: Command, models: dict[str, Model], monkeypatch: pytest.MonkeyPatch, format: str, needed: tuple[str, ...]
) -> None:
    monkeypatch.setattr(exports, "find_spec", lambda name: None)
    said = sentence(ultralight("export-model", models["volume"].folder, "-o", tmp_path / "out.onnx", "--format", format))
    assert f"found no {', '.join(needed)}; pip install 'napari-ultralight[export]'" in said
    assert everything_in(tmp_path) == []


def test_damaged_weights_leave_nothing_behind(tmp_path: Path) -> None:
    model = volume_model(tmp_path / "model")
    (model.folder / "models" / "model.safetensors").write_bytes(b"damaged")
    for format, name in (("onnx", "out.onnx"), ("monai-bundle", "out")):
        with pytest.raises(ModelError, match="expected weights with sha256"):
            export_model(model.folder, tmp_path / name, format=format)
    assert [path.name for path in tmp_path.iterdir()] == ["model"]


def test_a_full_disk_leaves_nothing_behind(tmp_path: Path, models: dict[str, Model]) -> None:
    with full_disk(), pytest.raises(OutputError, match="found an obstacle: .*; free space there or choose another folder"):
        export_model(models["volume"], tmp_path / "out", format="monai-bundle")
    assert everything_in(tmp_path) == []
