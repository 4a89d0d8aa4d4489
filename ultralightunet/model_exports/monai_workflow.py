"""`configs/inference.json` of a bundle: images in, labels on the images' own grids out.

Each component follows a step of `session`: MONAI's own where there is one that does nearly the same (`readme` says how it differs), else
one of `monai_parts`.
"""

from __future__ import annotations

from typing import Any

from ..models import Intensity, Model

Config = dict[str, Any]

_RESAMPLING = "ultralightunet.model_exports.monai_parts.ResampleExtentd"


def inference(model: Model) -> Config:
    """The workflow of a model, as `monai.bundle` reads it."""
    pattern = "*.nii.gz" if model.spatial_dims == 3 else "*.png"
    return {
        "imports": ["$import glob", "$import os"],
        "bundle_root": ".",
        "dataset_dir": "$@bundle_root + '/images'",
        "output_dir": "$@bundle_root + '/eval'",
        "datalist": f"$sorted(glob.glob(os.path.join(@dataset_dir, '{pattern}')))",
        "device": "$torch.device('cuda:0' if torch.cuda.is_available() else 'cpu')",
        "network_def": {"_target_": "ultralightunet.networks.UltraLightUNet", **model.architecture.to_dict()},
        "network": "$@network_def.to(@device)",
        "preprocessing": {"_target_": "Compose", "transforms": _preprocessing(model)},
        "dataset": {"_target_": "Dataset", "data": "$[{'image': i} for i in @datalist]", "transform": "@preprocessing"},
        "dataloader": {"_target_": "DataLoader", "dataset": "@dataset", "batch_size": 1, "shuffle": False, "num_workers": 0},
        "inferer": {
            "_target_": "ultralightunet.model_exports.monai_parts.WindowInferer",
            "window": list(model.window),
            "whole": model.whole,
            "mirrored": list(model.mirrored),
        },
        "postprocessing": {"_target_": "Compose", "transforms": _postprocessing(model)},
        "handlers": [{"_target_": "StatsHandler", "iteration_log": False}],
        "evaluator": {
            "_target_": "SupervisedEvaluator",
            "device": "@device",
            "val_data_loader": "@dataloader",
            "network": "@network",
            "inferer": "@inferer",
            "postprocessing": "@postprocessing",
            "val_handlers": "@handlers",
            "amp": False,
        },
        "checkpointloader": {
            "_target_": "CheckpointLoader",
            "load_path": "$@bundle_root + '/models/model.pt'",
            "load_dict": {"model": "@network"},
            "map_location": "@device",
        },
        "initialize": ["$@checkpointloader(@evaluator)"],
        "run": ["$@evaluator.run()"],
    }


def _preprocessing(model: Model) -> list[Config]:
    steps = _loading(model)
    if model.spacing is not None:
        steps.append(_on_image(_RESAMPLING, spacing=list(model.spacing)))
    elif model.size is not None:
        steps.append(_on_image(_RESAMPLING, size=list(model.size)))
    return steps + _intensities(model.intensity)


def _loading(model: Model) -> list[Config]:
    if model.spatial_dims == 3:
        return [
            _on_image("LoadImaged"),
            _on_image("EnsureChannelFirstd"),
            # To the head, to the front and to the right: the order of axes that the network was trained on.
            _on_image("Orientationd", axcodes="SAR"),
            _on_image("EnsureTyped", dtype="$torch.float32"),
        ]
    channels = model.architecture.in_channels
    mode = {1: "L", 3: "RGB"}.get(channels)
    converter = {"converter": f"$lambda image: image.convert('{mode}')"} if mode else {}
    return [
        _on_image("LoadImaged", reader="PILReader", **converter),
        _on_image("EnsureChannelFirstd", **({"channel_dim": "no_channel"} if channels == 1 else {"channel_dim": -1})),
        # MONAI has columns first.
        _on_image("Transposed", indices=[0, 2, 1]),
        _on_image("EnsureTyped", dtype="$torch.float32"),
    ]


def _intensities(rule: Intensity) -> list[Config]:
    """As `transforms.normalize`."""
    if rule.rule == "percentile":
        return [_on_image("ClipIntensityPercentilesd", lower=rule.low, upper=rule.high), _on_image("NormalizeIntensityd")]
    window = {"a_min": rule.low, "a_max": rule.high}
    target = {"b_min": rule.low, "b_max": rule.high} if rule.rule == "window" else {"b_min": 0.0, "b_max": 1.0}
    steps = [_on_image("ScaleIntensityRanged", **window, **target, clip=rule.rule == "window")]
    if len(rule.mean) == len(rule.std) == 1:
        return [*steps, _on_image("NormalizeIntensityd", subtrahend=rule.mean[0], divisor=rule.std[0])]
    channels = max(len(rule.mean), len(rule.std))
    values = {"subtrahend": _for_each(rule.mean, channels), "divisor": _for_each(rule.std, channels)}
    return [*steps, _on_image("NormalizeIntensityd", **values, channel_wise=True)]


def _for_each(values: tuple[float, ...], channels: int) -> list[float]:
    return list(values) if len(values) == channels else list(values) * channels


def _postprocessing(model: Model) -> list[Config]:
    # Logits go back to the image's grid before a class is chosen, so that borders are as fine as the image.
    steps: list[Config] = [
        {
            "_target_": "Invertd",
            "keys": "pred",
            "transform": "@preprocessing",
            "orig_keys": "image",
            "nearest_interp": False,
            "to_tensor": True,
        }
    ]
    if model.architecture.out_channels == 1:
        steps.append({"_target_": "Activationsd", "keys": "pred", "sigmoid": True})
        steps.append({"_target_": "AsDiscreted", "keys": "pred", "threshold": 0.5})
    else:
        steps.append({"_target_": "AsDiscreted", "keys": "pred", "argmax": True})
    for group in model.keep_largest:
        largest = {"applied_labels": list(group), "is_onehot": False, "independent": False, "connectivity": 1}
        steps.append({"_target_": "KeepLargestConnectedComponentd", "keys": "pred", **largest})
    saving = {
        "output_dir": "@output_dir",
        "output_postfix": "labels",
        "output_ext": ".nii.gz" if model.spatial_dims == 3 else ".png",
        "output_dtype": "$numpy.uint8" if len(model.classes) <= 256 else "$numpy.uint16",
        "separate_folder": False,
    }
    return [*steps, {"_target_": "SaveImaged", "keys": "pred", **saving}]


def _on_image(target: str, **arguments: Any) -> Config:
    return {"_target_": target, "keys": "image", **arguments}
