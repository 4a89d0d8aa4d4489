"""What all tests share."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterator
from importlib import import_module
from pathlib import Path
from types import ModuleType

import pytest
from hypothesis import HealthCheck, settings

from tests.command import Command, Outcome
from ultralightunet.cli import main

ROOT = Path(__file__).parent.parent

# Threads of OpenMP that wait for each other sleep instead of spinning: beside other work, which takes their cores away in the middle of
# a sum, torch is several times slower otherwise. Read when torch is imported, here and in the processes that tests start.
os.environ.setdefault("OMP_WAIT_POLICY", "passive")

# The same examples every time and everywhere, and no clock.
settings.register_profile(
    "seeded",
    derandomize=True,
    deadline=None,
    database=None,
    suppress_health_check=(HealthCheck.too_slow, HealthCheck.function_scoped_fixture),
)
settings.load_profile("seeded")


@pytest.fixture(scope="session")
def root() -> Path:
    """The repository."""
    return ROOT


@pytest.fixture(scope="session")
def sample_data(root: Path) -> Path:
    """The folder of sample images."""
    return root / "sample_data"


@pytest.fixture(scope="session")
def shared(root: Path) -> Path:
    """Data for development that lies beside some checkouts; a test that asks for it is skipped elsewhere."""
    folder = root.parent / "shared"
    if not folder.is_dir():
        pytest.skip("needs ../shared, which lies beside this checkout on some machines only")
    return folder


@pytest.fixture
def one_thread() -> Iterator[None]:
    """PyTorch on one thread, so that sums have one order, and the machine's other work is not disturbed."""
    import torch

    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture
def script(root: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[str], ModuleType]]:
    """Imports a file of `training/` as the recipes themselves do, and forgets it afterwards."""
    monkeypatch.syspath_prepend(str(root / "training"))
    names = [path.stem for path in (root / "training").glob("*.py")]

    def forget() -> None:
        for name in names:
            sys.modules.pop(name, None)

    forget()
    yield import_module
    forget()


@pytest.fixture
def ultralight(capsys: pytest.CaptureFixture[str]) -> Command:
    """Runs the command in this process."""

    def run(*arguments: object) -> Outcome:
        code = main([str(argument) for argument in arguments])
        captured = capsys.readouterr()
        return Outcome(code, captured.out, captured.err)

    return run


@pytest.fixture(autouse=True)
def ultralight_home(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Every test has its own, empty place for models, stores and caches, so that none sees or changes the user's."""
    home = tmp_path_factory.mktemp("ultralight_home")
    monkeypatch.setenv("ULTRALIGHT_HOME", str(home))
    return home
