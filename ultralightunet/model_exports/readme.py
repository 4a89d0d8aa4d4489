"""`docs/README.md` of a bundle: what the model is for, how it is run, and where MONAI does not do the same as UltraLight."""

from __future__ import annotations

from ..models import Model

_RUN = """\
```
pip install 'napari-ultralight[train]' pytorch-ignite fire
python -m monai.bundle run --config_file configs/inference.json --meta_file configs/metadata.json --bundle_root . \\
    --dataset_dir IMAGES --output_dir LABELS
```"""


def readme(model: Model) -> str:
    """The page, in Markdown."""
    classes = "\n".join(f"| {c.index} | {c.name} | {c.snomed} |" for c in model.classes)
    failures = [str(text) for text in model.metadata.get("known_failures", ())]
    parts = [
        f"# {model.title or model.name}",
        f"{model.id}, {model.spatial_dims}D, {model.modality}. Licence of the weights: {model.licence or 'not stated'} (see `LICENSE`).",
        model.intended_use,
        f"| label | name | SNOMED CT |\n|---|---|---|\n{classes}",
        "## Run it",
        _RUN,
        _what_is_read(model),
        "The network (`ultralightunet.networks.UltraLightUNet`), the resampling and the inferer are classes of the package "
        "`napari-ultralight`; `models/model.pt` is the network's state dict and loads with `weights_only=True`. The network gives logits.",
        "## Where this differs from UltraLight",
        "The network's logits, the resampling and the padding are the same. The other steps are MONAI's own and cannot say all that "
        "UltraLight does. Scores in `configs/metadata.json` were measured with UltraLight, not with these steps.",
        "\n".join(f"- {text}" for text in _differences(model)),
    ]
    if failures:
        parts += ["## Known failures", "\n".join(f"- {text}" for text in failures)]
    return "\n\n".join(part for part in parts if part) + "\n"


def _what_is_read(model: Model) -> str:
    if model.spatial_dims == 3:
        return (
            "Every `*.nii.gz` of the folder is read; its labels are written as NIfTI on the same grid. "
            "Override `datalist` for other files that MONAI reads."
        )
    return (
        "Every `*.png` of the folder is read; its labels are written as PNG, whose pixels are the labels above. "
        "Override `datalist` for other pictures."
    )


def _differences(model: Model) -> list[str]:
    said = _differences_of_intensity(model)
    said.append("Windows: of the same size, blended by the same Gaussian; where there are several, UltraLight spreads them evenly.")
    if model.box_is_image:
        said.append("The model learned from crops: give it a crop around the structure. UltraLight cuts one out where a box is drawn.")
    if model.keep_largest:
        said.append(
            "Islands: as UltraLight does, only the largest one of each group of classes is kept; MONAI may choose another of two equals."
        )
    if model.spatial_dims == 2:
        said.append("Only pictures are read. UltraLight also labels a volume slice by slice.")
    said.append("Nothing is checked beforehand: missing values, a wrong voxel size or a time series give labels without a word.")
    return said


def _differences_of_intensity(model: Model) -> list[str]:
    rule = model.intensity
    if rule.rule == "percentile":
        return ["Intensities: percentiles are those of all voxels; UltraLight estimates them from evenly spread ones."]
    if rule.rule == "scale":
        return [
            f"Intensities: grey values from {rule.low:g} to {rule.high:g} become 0 to 1, whatever the picture. UltraLight looks at "
            "its number type and range, so that pictures of 16 bits or of fractions come out the same."
        ]
    return []
