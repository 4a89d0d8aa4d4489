"""What Slicer's Python needs, and the one question before it is installed."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable, Sequence
from importlib.metadata import version
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import numpy as np
import pytest
import slicer
import UltraLightSegmenterLib.packages as packages
import UltraLightSegmenterLib.pip_words as pip_words
from packaging.requirements import Requirement
from UltraLightSegmenterLib.core import core_environment
from UltraLightSegmenterLib.packages import FOR_DICOM, NEEDED, Packages, ensure_torch, install_into_slicer
from UltraLightSegmenterLib.problem import Problem
from UltraLightSegmenterLib.process import Worker

from tests.slicer.conftest import Answers, noisy
from ultralightunet.models import Model

OF_SLICER = {"SimpleITK", "scipy", "numpy", "packaging", "typing_extensions", "PIL", "importlib_resources"}
"""Import names of what Slicer's Python brings along, as far as the core may use it; the last one came with Python 3.12 itself."""


class User:
    """Answers, and remembers what was asked and installed."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, *, agrees: bool, missing: Sequence[str] = ("openvino>=2025.4",)) -> None:
        self.asked: list[str] = []
        self.installed: list[str] = []
        self.packages = Packages(lambda question: self.asked.append(question) or agrees, self._install)
        monkeypatch.setattr(packages, "_is_met", lambda need: need not in missing or need in self.installed)

    def _install(self, requirements: Sequence[str]) -> None:
        self.installed += requirements


def test_the_user_is_asked_once_and_what_is_missing_is_installed(monkeypatch: pytest.MonkeyPatch) -> None:
    user = User(monkeypatch, agrees=True, missing=("openvino>=2025.4", "nibabel>=5.2"))
    user.packages.ensure()
    user.packages.ensure()
    assert len(user.asked) == 1
    assert "nibabel, openvino" in user.asked[0]
    assert user.installed == ["nibabel>=5.2", "openvino>=2025.4"]


def test_nothing_is_asked_where_nothing_is_missing() -> None:
    Packages(lambda question: pytest.fail("asked"), lambda requirements: pytest.fail("installed")).ensure()


def test_declining_installs_nothing_and_explains(monkeypatch: pytest.MonkeyPatch) -> None:
    user = User(monkeypatch, agrees=False)
    with pytest.raises(Problem, match=r"its packages \(openvino\) are not installed. Click “Install packages”"):
        user.packages.ensure()
    assert user.installed == []


ELSEWHERE = "Defaulting to user installation because normal site-packages is not writeable"


def pip(*lines: str) -> Callable[[Sequence[str]], None]:
    """An installation that fails as Slicer's does: pip's lines are printed, and the error tells no more than its code."""

    def fail(requirements: Sequence[str]) -> None:
        sys.stdout.writelines(f"{line}\n" for line in lines)
        raise subprocess.CalledProcessError(1, "pip install")

    return fail


@pytest.mark.parametrize(
    ("lines", "words", "advice"),
    [
        (
            [
                "WARNING: Retrying (Retry(total=0)) after connection broken by 'NewConnectionError'",
                "ERROR: Could not find a version that satisfies the requirement openvino>=2025.4 (from versions: none)",
                "ERROR: No matching distribution found for openvino>=2025.4",
            ],
            "found: No matching distribution found for openvino>=2025.4;",
            "check the connection and the proxy",
        ),
        (
            ["ERROR: Could not install packages due to an OSError: [Errno 13] Permission denied: '/opt/Slicer/lib/Python'"],
            "found: Could not install packages due to an OSError: [Errno 13] Permission denied: '/opt/Slicer/lib/Python';",
            "Slicer's folder cannot be written to",
        ),
        (
            ["ERROR: Could not install packages due to an OSError: [Errno 28] No space left on device"],
            "[Errno 28] No space left on device;",
            "free space on the disk",
        ),
        (["Collecting openvino"], "returned non-zero exit status 1", "the Python console shows all that pip said"),
    ],
    ids=["offline", "read-only", "full disk", "silent"],
)
def test_an_installation_that_fails_ends_with_pips_own_words_and_what_helps(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path, lines: list[str], words: str, advice: str
) -> None:
    monkeypatch.setattr(pip_words, "site_packages", lambda: tmp_path)
    user = User(monkeypatch, agrees=True)
    user.packages.install = pip(*lines)
    with pytest.raises(Problem) as told:
        user.packages.ensure()
    assert str(told.value).startswith("Expected to install openvino, found")
    assert words in str(told.value)
    assert advice in str(told.value)
    assert capsys.readouterr().out.splitlines() == lines


def test_packages_that_went_into_another_folder_are_told(monkeypatch: pytest.MonkeyPatch) -> None:
    user = User(monkeypatch, agrees=True)
    monkeypatch.setattr(user.packages, "install", lambda requirements: sys.stdout.write(f"{ELSEWHERE}\n"))
    with pytest.raises(Problem, match="found: that pip put them elsewhere; Slicer's folder cannot be written to"):
        user.packages.ensure()


def test_what_writes_dicom_is_installed_when_it_is_needed_after_a_question(monkeypatch: pytest.MonkeyPatch) -> None:
    user = User(monkeypatch, agrees=True, missing=("highdicom>=0.25", "pyjpegls>=1.2"))
    user.packages.ensure()
    assert user.asked == []
    user.packages.ensure_for_dicom()
    user.packages.ensure_for_dicom()
    assert len(user.asked) == 1
    assert "(highdicom, pyjpegls)" in user.asked[0]
    assert user.installed == ["highdicom>=0.25", "pyjpegls>=1.2"]


def test_declining_what_writes_dicom_exports_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    user = User(monkeypatch, agrees=False, missing=("highdicom>=0.25",))
    with pytest.raises(Problem, match=r"Nothing was exported: what writes DICOM SEG \(highdicom\) is not installed"):
        user.packages.ensure_for_dicom()
    assert user.installed == []


def test_slicers_own_dicom_package_is_never_exchanged(monkeypatch: pytest.MonkeyPatch) -> None:
    user = User(monkeypatch, agrees=True, missing=("highdicom>=0.25", "pydicom>=3"))
    monkeypatch.setattr(packages, "_version", lambda name: "2.4.3")
    with pytest.raises(Problem, match="Expected pydicom 3 to write DICOM SEG, found 2.4.3, which Slicer's own DICOM module needs"):
        user.packages.ensure_for_dicom()
    assert (user.asked, user.installed) == ([], [])


def test_slicers_pip_ensure_is_used_where_there_is_one_and_leaves_numpy_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    calls: list[Any] = []

    def pip_ensure(requirements: list[str], **options: Any) -> None:
        calls.append((requirements, options, Path(options["constraints"]).read_text()))

    module = ModuleType("slicer.packaging")
    module.pip_ensure = pip_ensure  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "slicer.packaging", module)
    install_into_slicer(["openvino>=2025.4"])
    ((requirements, options, constraints),) = calls
    assert requirements == ["openvino>=2025.4"]
    assert set(options["skip_packages"]) == {"numpy", "openvino-telemetry"}
    assert options["prompt_install"] is False
    assert constraints == f"numpy=={version('numpy')}\n"


def test_older_slicers_install_without_dependencies(monkeypatch: pytest.MonkeyPatch) -> None:
    calls: list[list[str]] = []
    monkeypatch.setitem(sys.modules, "slicer.packaging", None)
    monkeypatch.setattr(slicer.util, "pip_install", calls.append, raising=False)
    install_into_slicer(["openvino>=2025.4", "nibabel>=5.2"])
    ((first, flag, _, *rest),) = calls
    assert (first, flag) == ("--no-deps", "-c")
    assert rest == ["openvino>=2025.4", "nibabel>=5.2"]


def test_what_is_installed_is_what_the_package_itself_asks_for(root: Path) -> None:
    text = (root / "setup.py").read_text(encoding="utf-8")
    for need in (*NEEDED, *(need for need in FOR_DICOM if not need.startswith("pyjpegls"))):
        wanted = Requirement(need)
        assert f'"{wanted.name} {str(wanted.specifier)[:2]} {str(wanted.specifier)[2:]}"' in text


def test_segmenting_saving_and_pointing_need_no_other_package_than_these(model: Model, tmp_path: Path) -> None:
    np.save(tmp_path / "image.npy", noisy())
    here = {
        "image": str(tmp_path / "image.npy"),
        "affine": np.eye(4).tolist(),
        "labels": str(tmp_path / "labels.npy"),
        "model": str(model.folder),
    }
    classes = [{"index": entry.index, "name": entry.name, "color": list(entry.color), "snomed": ""} for entry in model.classes]
    store = str(tmp_path / "store")
    names = {"nibabel", "openvino", "platformdirs", "safetensors", "tqdm"}
    assert {Requirement(need).name for need in NEEDED} == names
    code = (
        "import sys\n"
        "class Slicer:\n"
        "    def find_spec(self, name, path=None, target=None):\n"
        f"        allowed = {names | OF_SLICER | {'ultralightunet'}!r} | sys.stdlib_module_names\n"
        "        if path is None and name[0] != '_' and name.partition('.')[0] not in allowed:\n"
        "            raise ImportError(f'Slicer has no {name}')\n"
        "sys.meta_path.insert(0, Slicer())\n"
        "import runpy; runpy.run_module('ultralightunet.worker', run_name='__main__')\n"
    )
    worker = Worker(lambda: [sys.executable, "-c", code], core_environment)
    for request in (
        {"do": "models"},
        {"do": "segment", **here},
        {"do": "save", "store": store, "prediction": None, "classes": classes, "confirmed": True, **here},
        {"do": "export", "store": store, "folder": str(tmp_path / "out"), "format": "seg-nrrd"},
        {"do": "look_at", "image": here["image"], "affine": here["affine"]},
        {"do": "point", "prompt": {"kind": "point", "voxel": [4, 9, 9]}, "new": {}, "mask": str(tmp_path / "mask.npy")},
        {"do": "point", "prompt": {"kind": "box", "ranges": [[4, 5], [2, 9], [2, 9]]}, "mask": str(tmp_path / "mask.npy")},
    ):
        answers = Answers()
        worker.ask(answers.listener, **request)
        answers.wait(worker.poll)
    worker.stop()


def test_pytorch_comes_through_slicers_extension_for_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(packages.importlib.util, "find_spec", lambda name: None)
    monkeypatch.setitem(sys.modules, "PyTorchUtils", None)
    with pytest.raises(Problem, match="install the extension PyTorch in the Extensions Manager"):
        ensure_torch()
    asked: list[bool] = []

    class PyTorchUtilsLogic:
        answer: Any = None

        def installTorch(self, *, askConfirmation: bool) -> Any:
            asked.append(askConfirmation)
            return self.answer

    monkeypatch.setitem(sys.modules, "PyTorchUtils", SimpleNamespace(PyTorchUtilsLogic=PyTorchUtilsLogic))
    with pytest.raises(Problem, match="agree to install it"):
        ensure_torch()
    PyTorchUtilsLogic.answer = object()
    ensure_torch()
    assert asked == [True, True]


def test_macs_with_an_intel_processor_are_told_why_they_cannot_retrain(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "platform", "darwin")
    monkeypatch.setattr(packages.platform, "machine", lambda: "x86_64")
    with pytest.raises(Problem, match="segmenting and correcting work here"):
        ensure_torch()
