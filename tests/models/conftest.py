"""What the tests of models share."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.small_models import small_model
from ultralightunet import Model


@pytest.fixture
def model(tmp_path: Path) -> Model:
    return small_model(tmp_path / "model")
