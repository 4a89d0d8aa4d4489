"""A small model, and one warm process for all runs that need nothing of their own."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.small_models import small_model
from ultralightunet.cohort.warm_process import WarmProcess
from ultralightunet.models import Model


@pytest.fixture(scope="session")
def model(tmp_path_factory: pytest.TempPathFactory) -> Model:
    """In 3D, for MR; its seed is such that its random weights make several classes of noise, not one."""
    return small_model(tmp_path_factory.mktemp("models") / "volume", name="volume", seed=3, plausible_ml={1: (8.0, 1000.0)})


@pytest.fixture(scope="session")
def process() -> Iterator[WarmProcess]:
    warm = WarmProcess()
    yield warm
    warm.close()
