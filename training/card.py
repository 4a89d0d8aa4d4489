"""The page in `docs/models/` of each shipped model, written from its metadata: `python training/card.py` writes all of them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from ultralightunet.models import SHIPPED, SHIPPED_PROMPTS, Model, read_model

PAGES = Path(__file__).parent.parent / "docs" / "models"


def card(model: Model) -> str:
    """Markdown: what the model is for, what it learned from, how well it did, where it fails."""
    facts = model.metadata
    network = model.architecture
    size = f"{'x'.join(f'{s:g}' for s in model.spacing)} mm" if model.spacing else f"{'x'.join(map(str, model.size or ()))} pixels"
    lines = [
        f"# {model.name}",
        "",
        f"{model.title}. Version {model.version}, licence {model.licence}.",
        "",
        "*This page is made from the model's metadata by `python training/card.py`.*",
        "",
        *_picture(model.name, model.title),
        "",
        "## What it is for",
        "",
        model.intended_use,
        "",
        "## Labels",
        "",
        "| label | name | SNOMED CT |",
        "|---|---|---|",
        *(f"| {c.index} | {c.name} | {c.snomed or '-'} |" for c in model.classes[1:]),
        "",
        "## Network",
        "",
        f"UltraLightUNet, {network.spatial_dims}D, {network.in_channels} channel(s) in, {network.out_channels} out, widths "
        f"{', '.join(map(str, network.channels))}, {network.norm} norm; works at {size}. "
        f"{sum(_size(shape) for shape in network.parameter_shapes().values()):,} numbers, stored in half precision."
        f"{_mirroring(model)}",
        "",
        "## What it learned from",
        "",
        str(facts.get("data_source", "")) + ".",
        "",
        *(f"- {version}: {text}" for version, text in facts.get("changelog", {}).items()),
        "",
        "## Scores",
        "",
        *_scores(model),
        "",
        f"Measured by `{facts.get('measured_by', '')}`, as a user would run the model.",
        "",
        "## Known failures",
        "",
        *(f"- {text}" for text in facts.get("known_failures", ["none recorded"])),
        "",
        *_picture(f"{model.name}-failures", "The validation cases with the lowest Dice"),
        "",
        "## References",
        "",
        *(f"- {text}" for text in facts.get("references", [])),
    ]
    text = "\n".join(lines) + "\n"
    while "\n\n\n" in text:
        text = text.replace("\n\n\n", "\n\n")
    return text


def write_page(model: Model) -> Path:
    """Write the page of `model`."""
    PAGES.mkdir(parents=True, exist_ok=True)
    path = PAGES / f"{model.name}.md"
    path.write_text(card(model), encoding="utf-8")
    return path


def _picture(name: str, title: str) -> list[str]:
    """What shows a picture of the models, where it was drawn."""
    return [f"![{title}](../images/models/{name}.png)"] if (PAGES.parent / "images" / "models" / f"{name}.png").exists() else []


def _mirroring(model: Model) -> str:
    if not model.mirrored:
        return ""
    names = {2: ("top and bottom", "left and right"), 3: ("top and bottom", "front and back", "left and right")}[model.spatial_dims]
    axes = ", with ".join(names[axis] for axis in model.mirrored)
    several = " exchanged and with both" if len(model.mirrored) == 2 else ""
    return f" It also sees each image with {axes}{several} exchanged, and the results are averaged; the validation data below chose that."


def _scores(model: Model) -> list[str]:
    lines = ["| measured on | figure |", "|---|---|"]
    for name, value in model.scores.items():
        lines.append(f"| {name} | {_figures(value)} |")
    return lines


def _figures(value: Any) -> str:
    if isinstance(value, dict):
        return ", ".join(f"{key}: {_figures(part)}" for key, part in value.items())
    return " to ".join(map(str, value)) if isinstance(value, list) else str(value)


def _size(shape: tuple[int, ...]) -> int:
    product = 1
    for n in shape:
        product *= n
    return product


if __name__ == "__main__":
    for folder in sorted((*SHIPPED.glob("*/"), *SHIPPED_PROMPTS.glob("*/"))):
        write_page(read_model(folder))
