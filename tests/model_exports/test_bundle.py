"""A MONAI bundle: MONAI checks it, builds it and runs it, and it labels as we do."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
import pytest
import torch
from monai.bundle import ConfigParser, ConfigWorkflow, verify_net_in_out
from PIL import Image

import ultralightunet as ulu
from tests.model_exports.inputs import everything_in, image_for, picture_in, picture_model, scan_in, volume_model
from tests.small_models import small_model
from ultralightunet.engines import make_engine
from ultralightunet.model_exports import export_model
from ultralightunet.models import Intensity, Model

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


def parser_of(bundle: Path) -> ConfigParser:
    parser = ConfigParser()
    parser.read_config(str(bundle / "configs" / "inference.json"))
    parser.read_meta(str(bundle / "configs" / "metadata.json"))
    return parser


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
