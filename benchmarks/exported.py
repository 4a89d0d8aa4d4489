"""What becomes of a shipped model in other tools: `python benchmarks/exported.py`.

The MONAI bundle of `brain` labels the sample heads under MONAI; counted are the voxels that get another label than from us. The ONNX files
of `brain` and `polyp` run in ONNX Runtime and in OpenVINO; compared are their logits with PyTorch's. Converting takes a minute each.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import warnings
from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnxruntime
import SimpleITK as sitk
from results import machine, table, write_section

sys.modules.setdefault("openvino_telemetry", None)  # type: ignore[arg-type]
import openvino as ov  # noqa: E402

ROOT = Path(__file__).parent.parent
sys.path.insert(0, str(ROOT))
import ultralightunet as ulu  # noqa: E402
from ultralightunet.engines import make_engine  # noqa: E402
from ultralightunet.inference.transforms import Orientation, normalize, resample  # noqa: E402
from ultralightunet.io import read_image, read_labels  # noqa: E402
from ultralightunet.model_exports import export_model  # noqa: E402
from ultralightunet.models import Model, list_models, load_model  # noqa: E402

HEADS = ("colin27_t1.nii.gz", "tumour_mri_1.nrrd", "tumour_mri_2.nrrd")

Logits = Callable[[np.ndarray], np.ndarray]


def bundle_rows(model: Model, folder: Path) -> list[tuple[object, ...]]:
    """A line for each sample head: voxels, and how many get another label under MONAI."""
    from monai.bundle import run

    bundle = export_model(model, folder / "bundle", format="monai-bundle")
    rows = []
    for name in HEADS:
        images, out = folder / f"images-{name}", folder / f"labels-{name}"
        images.mkdir()
        # The bundle reads NIfTI only.
        image = images / "head.nii.gz"
        sitk.WriteImage(sitk.Cast(sitk.ReadImage(str(ROOT / "sample_data" / name)), sitk.sitkFloat32), str(image))
        configs = bundle / "configs"
        run(
            config_file=str(configs / "inference.json"),
            meta_file=str(configs / "metadata.json"),
            bundle_root=str(bundle),
            dataset_dir=str(images),
            output_dir=str(out),
        )
        (written,) = out.iterdir()
        expected = ulu.segment(image, model).labels
        rows.append((name.split(".")[0], f"{expected.size:,}", int((read_labels(written).labels != expected).sum())))
    return rows


def onnx_rows(model: Model, inputs: dict[str, np.ndarray], folder: Path) -> list[tuple[object, ...]]:
    """A line for each input: how far the logits of the file lie from PyTorch's, at most."""
    path = export_model(model, folder / f"{model.name}.onnx", format="onnx")
    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    compiled = ov.Core().compile_model(ov.Core().read_model(path), "CPU", {"INFERENCE_PRECISION_HINT": "f32"})
    runtimes: tuple[Logits, Logits] = (
        lambda image: session.run(["logits"], {"image": image})[0],
        lambda image: compiled([image])[0],
    )
    torch = make_engine(model, engine="torch", device="cpu")
    rows = []
    for name, image in inputs.items():
        expected = torch(image)
        apart = [float(np.abs(logits(image) - expected).max()) for logits in runtimes]
        rows.append((f"`{model.name}`, {name}", f"{np.abs(expected).max():.0f}", *(f"{value:.1g}" for value in apart)))
    return rows


def noise(model: Model) -> np.ndarray:
    """(1, C, *window) float32."""
    shape = (1, model.architecture.in_channels, *model.window)
    return np.random.default_rng(0).normal(size=shape).astype(np.float32)


def head(model: Model, sides: tuple[int, int, int]) -> np.ndarray:
    """The Colin27 head as the model would see it on a grid of so many voxels: (1, 1, *sides)."""
    volume = read_image(ROOT / "sample_data" / HEADS[0])
    source = Orientation.of(volume.affine).apply(volume.array)
    return normalize(resample(source, sides), model.intensity, (0.0, 1.0))[None]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--print-only", action="store_true", help="leave RESULTS.md as it is")
    options = parser.parse_args()
    warnings.simplefilter("ignore")
    brain, names = load_model("brain"), {model.name for model in list_models()}
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        voxels = bundle_rows(brain, folder)
        inputs = {"the Colin27 head at 96x96x96": head(brain, (96, 96, 96)), "noise in its window": noise(brain)}
        apart = onnx_rows(brain, inputs, folder)
        if "polyp" in names:
            polyp = load_model("polyp")
            apart += onnx_rows(polyp, {"noise in its window": noise(polyp)}, folder)
    versions = f"ONNX Runtime {onnxruntime.__version__}", f"OpenVINO {ov.__version__.split('-')[0]}, single precision"
    text = "\n\n".join(
        (
            f"`{brain.id}` as a MONAI bundle:",
            table(("sample head", "voxels", "voxels with another label than from us"), voxels),
            "Logits of ONNX files, largest difference from PyTorch's:",
            table(("model and input", "largest logit", *versions), apart),
            f"`python benchmarks/exported.py`. {machine(1)}",
        )
    )
    print(text)
    if not options.print_only:
        write_section("Models in other tools", text)


if __name__ == "__main__":
    main()
