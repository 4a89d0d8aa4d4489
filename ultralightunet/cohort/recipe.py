"""How every case of a cohort is labelled: model and options, and what tells one such choice from another."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

from ..errors import ModelError
from ..inference.request import Request
from ..models import Model, load_model


@dataclass(frozen=True)
class Recipe:
    """How every case is labelled.

    Attributes:
        model: NAME@VERSION.
        model_folder: where it lies on this machine.
        model_sha256: of its weights.
        volume_index: which volume of a time series.
        axis: as `Request.axis`.
        engine: as `Request.engine`.
        device: as `Request.device`.
        threads: as `Request.threads`.
        step: as `Request.step`.
        nan_fill: as `Request.nan_fill`.

    Example:
        >>> import ultralightunet as ulu
        >>> from ultralightunet.cohort import Recipe
        >>> recipe = Recipe.of(ulu.load_model("brain"), threads=1)
        >>> recipe.key == Recipe.of(ulu.load_model("brain")).key  # threads change no label
        True
    """

    model: str
    model_folder: str
    model_sha256: str
    volume_index: int | None = None
    axis: int | None = None
    engine: str = "auto"
    device: str = "auto"
    threads: int | None = None
    step: float = 0.5
    nan_fill: float | None = None

    @classmethod
    def of(cls, model: Model, **options: Any) -> Recipe:
        """The recipe for a model; `options` are the other attributes."""
        return cls(model.id, str(model.folder.resolve()), model.sha256, **options)

    @property
    def key(self) -> str:
        """Eight hexadecimal digits, the same for what gives the same labels."""
        deciding = {name: value for name, value in asdict(self).items() if name not in ("model_folder", "threads")}
        return hashlib.sha256(json.dumps(deciding, sort_keys=True).encode()).hexdigest()[:8]

    def request(self) -> Request:
        """What is asked of each image.

        Raises:
            ModelError: if the model is not at hand, or is another one by now.
        """
        folder = Path(self.model_folder)
        # On another machine of a cluster it may lie elsewhere.
        model = load_model(folder if folder.is_dir() else self.model)
        if model.sha256 != self.model_sha256:
            raise ModelError(
                f"expected {self.model} with the weights {self.model_sha256[:12]}, found {model.sha256[:12]} in {model.folder}; "
                "install the same version everywhere, and start again"
            )
        return Request(
            model,
            axis=self.axis,
            engine=self.engine,
            device=self.device,
            threads=self.threads,
            step=self.step,
            nan_fill=self.nan_fill,
        )


def recipe_from(facts: Mapping[str, Any]) -> Recipe:
    """The recipe that `dataclasses.asdict` made facts of; what a newer version told besides is left out."""
    known = {field.name for field in fields(Recipe)}
    return Recipe(**{name: value for name, value in facts.items() if name in known})
