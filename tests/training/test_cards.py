"""What is said of a shipped model is what its metadata say."""

from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import pytest

from tests.small_models import small_model
from ultralightunet.models import SHIPPED, SHIPPED_PROMPTS, read_model

FOLDERS = (SHIPPED, SHIPPED_PROMPTS)
MODELS = sorted(path.parent.parent for folder in FOLDERS for path in folder.glob("*/configs/metadata.json"))


@pytest.mark.parametrize("folder", MODELS, ids=lambda folder: folder.name)
def test_a_models_page_is_made_from_its_metadata(folder: Path, script: Callable[[str], ModuleType]) -> None:
    module = script("card")
    assert (module.PAGES / f"{folder.name}.md").read_text(encoding="utf-8") == module.card(read_model(folder))


def test_all_shipped_models_together_stay_small() -> None:
    total = sum(path.stat().st_size for folder in FOLDERS for path in folder.rglob("*") if path.is_file())
    assert 0 < total <= 14e6


@pytest.mark.parametrize("folder", MODELS, ids=lambda folder: folder.name)
def test_a_shipped_model_says_what_a_user_must_know(folder: Path) -> None:
    model = read_model(folder)
    assert model.weights()
    assert model.licence
    assert "Research use only" in model.intended_use
    assert model.scores
    assert (folder / "LICENSE").read_text(encoding="utf-8").strip()
    assert len({c.color for c in model.classes}) == len(model.classes)


@pytest.mark.parametrize(
    ("dims", "axes", "said"),
    [
        (2, (), ""),
        (2, (1,), "with left and right exchanged"),
        (2, (0, 1), "with top and bottom, with left and right exchanged and with both exchanged"),
        (3, (0,), "with top and bottom exchanged"),
    ],
)
def test_a_page_says_what_is_mirrored(
    tmp_path: Path, script: Callable[[str], ModuleType], dims: int, axes: tuple[int, ...], said: str
) -> None:
    page = script("card").card(small_model(tmp_path / "model", spatial_dims=dims, mirrored=axes))
    assert said in page
    assert ("exchanged" in page) == bool(axes)
