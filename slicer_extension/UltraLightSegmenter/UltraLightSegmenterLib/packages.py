"""The packages that the core needs beside those that Slicer brings along, and the one question before they are installed."""

from __future__ import annotations

import importlib
import importlib.metadata
import importlib.util
import platform
import sys
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from subprocess import CalledProcessError
from typing import Any

from slicer.i18n import tr as _

from .pip_words import advice, last_words, overheard
from .problem import Problem

NEEDED = (
    "nibabel>=5.2",
    "openvino>=2025.4",
    "platformdirs>=4",
    "safetensors>=0.4.3",
    "tqdm>=4.66",
)
"""To segment on a CPU. Slicer itself brings numpy, scipy, SimpleITK and Pillow."""

FOR_DICOM = ("highdicom>=0.25", "pyjpegls>=1.2", "pydicom>=3")
"""To write DICOM SEG."""

NEVER = ("numpy", "openvino-telemetry")
"""What these packages ask for and must not get: Slicer's own numpy stays where it is, and nobody is told what is used here."""


class Packages:
    """Knows what is missing, asks once, and installs.

    Attributes:
        ask: shows a question and returns whether the user agrees.
        install: installs requirements without moving `NEVER`; raises `CalledProcessError`.
    """

    def __init__(self, ask: Callable[[str], bool], install: Callable[[Sequence[str]], None]) -> None:
        self.ask = ask
        self.install = install

    def missing(self) -> list[str]:
        """The requirements that are not met."""
        importlib.invalidate_caches()
        return [need for need in NEEDED if not _is_met(need)]

    def ensure(self) -> None:
        """Install what is missing, after one question; no question where nothing is.

        Raises:
            Problem: if the user declines, or it cannot be installed.
        """
        missing = self.missing()
        if not missing:
            return
        names = ", ".join(need.partition(">")[0] for need in missing)
        question = _(
            "UltraLight computes with OpenVINO, which Slicer does not have yet. Install it now?\n\n"
            "This downloads about 60 MB from PyPI ({names}) into Slicer's Python. numpy and everything else in it stay as they are; "
            "Slicer need not be restarted."
        )
        if not self.ask(question.format(names=names)):
            raise Problem(
                _(
                    "UltraLight cannot segment yet: its packages ({names}) are not installed. Click “Install packages”, or see the "
                    "tutorial for an installation without internet"
                ).format(names=names)
            )
        self._install(missing, names, self.missing)

    def ensure_for_dicom(self) -> None:
        """The same for what writes DICOM SEG; Slicer's own DICOM package is never exchanged.

        Raises:
            Problem: if it cannot be had.
        """
        importlib.invalidate_caches()
        missing = [need for need in FOR_DICOM if not _is_met(need)]
        if not missing:
            return
        found = _version("pydicom")
        if found is not None and not _is_met("pydicom>=3"):
            raise Problem(
                _(
                    "Expected pydicom 3 to write DICOM SEG, found {version}, which Slicer's own DICOM module needs; "
                    "use a newer Slicer, or `ultralight export` on the command line"
                ).format(version=found)
            )
        names = ", ".join(need.partition(">")[0] for need in missing)
        question = _(
            "UltraLight writes DICOM SEG with highdicom, which Slicer does not have yet. Install it now?\n\n"
            "This downloads a few MB from PyPI ({names}) into Slicer's Python; everything else in it stays as it is."
        )
        if not self.ask(question.format(names=names)):
            raise Problem(
                _("Nothing was exported: what writes DICOM SEG ({names}) is not installed; agree, or export in another format").format(
                    names=names
                )
            )
        self._install(missing, names, lambda: [need for need in FOR_DICOM if not _is_met(need)])

    def _install(self, requirements: Sequence[str], names: str, missing: Callable[[], list[str]]) -> None:
        with overheard() as lines:
            try:
                self.install(requirements)
            except (CalledProcessError, OSError, RuntimeError, ValueError) as error:
                raise _failure(names, last_words(lines) or str(error), lines) from error
        importlib.invalidate_caches()
        if missing():
            raise _failure(names, last_words(lines) or _("that pip put them elsewhere"), lines)


def _failure(names: str, words: str, lines: list[str]) -> Problem:
    return Problem(_("Expected to install {names}, found: {words}; {advice}").format(names=names, words=words, advice=advice(lines)))


def _is_met(requirement: str) -> bool:
    from packaging.requirements import Requirement

    wanted = Requirement(requirement)
    found = _version(wanted.name)
    return found is not None and wanted.specifier.contains(found, prereleases=True)


def _version(name: str) -> str | None:
    """The version of a package that is installed, or None."""
    try:
        return importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        return None


def install_into_slicer(requirements: Sequence[str]) -> None:
    """Install through `slicer.packaging` where Slicer has it (5.12), else through `slicer.util.pip_install`."""
    import slicer

    with tempfile.TemporaryDirectory() as folder:
        constraints = Path(folder) / "constraints.txt"
        constraints.write_text(f"numpy=={importlib.metadata.version('numpy')}\n", encoding="utf-8")
        packaging = _slicer_packaging()
        if packaging is not None and hasattr(packaging, "pip_ensure"):
            packaging.pip_ensure(
                list(requirements),
                constraints=constraints,
                skip_packages=list(NEVER),
                prompt_install=False,
                requester="UltraLight",
            )
            return
        # Without their dependencies, which `NEEDED` and Slicer hold, so that nothing of Slicer's is touched.
        slicer.util.pip_install(["--no-deps", "-c", str(constraints), *requirements])


def _slicer_packaging() -> Any:
    try:
        return importlib.import_module("slicer.packaging")
    except ImportError:
        return None


def ensure_torch() -> None:
    """See to it that PyTorch is there, through Slicer's extension PyTorch, which asks the user and finds the build that fits.

    Raises:
        Problem: if it cannot be had.
    """
    if sys.platform == "darwin" and platform.machine() == "x86_64":
        raise Problem(
            _(
                "Expected PyTorch, which there is no current version of for Macs with an Intel processor; "
                "segmenting and correcting work here, retrain on another computer from the same data folder"
            )
        )
    if importlib.util.find_spec("torch") is not None:
        return
    try:
        utils = importlib.import_module("PyTorchUtils")
    except ImportError as error:
        raise Problem(
            _(
                "Expected PyTorch, found neither it nor Slicer's extension for it; "
                "install the extension PyTorch in the Extensions Manager, restart Slicer and try again"
            )
        ) from error
    if utils.PyTorchUtilsLogic().installTorch(askConfirmation=True) is None:
        raise Problem(_("Expected PyTorch, found that it was not installed; click again and agree to install it"))
