"""What few people need to change: device, missing values, overlap, where models are kept."""

from __future__ import annotations

import os
import platform
import sys
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from magicgui.widgets import CheckBox, ComboBox, FloatSpinBox, PushButton
from qtpy.QtCore import Signal
from qtpy.QtWidgets import QFileDialog, QFormLayout, QHBoxLayout, QWidget

from ultralightunet.home import home

from ..parts.fold import Fold
from ..parts.path_label import PathLabel


class Options(Fold):
    """A fold of options with sensible defaults.

    Signals: `home_chosen(Path)` when the user chose another data folder.

    Attributes:
        device: where to compute.
        fill: whether missing voxels are filled in.
        fill_value: with what.
        step: distance of neighbouring windows as a share of the window.
        spare: whether one core is left to the viewer.
    """

    home_chosen = Signal(object)

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__("Options", "Device, cores, overlap of windows, missing voxels, data folder.", parent)
        self.device = ComboBox(
            choices=available_devices(), tooltip="Where to compute. “auto” is the processor, which this network is made for."
        )
        self.fill = CheckBox(
            text="Fill missing with", tooltip="Images with missing voxels (NaN, infinite) are refused unless this is ticked."
        )
        self.fill_value = FloatSpinBox(value=0.0, min=-1e6, max=1e6, tooltip="The grey value that takes the place of missing voxels.")
        self.step = FloatSpinBox(
            value=0.5,
            min=0.1,
            max=1.0,
            step=0.1,
            tooltip="Distance of neighbouring windows as a share of a window: 1 is fastest, 0.5 smoother.",
        )
        self.spare = CheckBox(
            text="Leave one core free", tooltip="Slower, but scrolling and painting stay smooth meanwhile; for retraining, too."
        )
        self._home = PathLabel()
        change = PushButton(
            text="Change…", tooltip="Keep models and caches elsewhere until napari closes; set ULTRALIGHT_HOME to make it last."
        )
        change.changed.connect(self._ask_for_home)
        self._change = change
        missing = QWidget()
        missing_row = QHBoxLayout(missing)
        missing_row.setContentsMargins(0, 0, 0, 0)
        missing_row.addWidget(self.fill.native)
        missing_row.addWidget(self.fill_value.native)
        folder = QWidget()
        folder_row = QHBoxLayout(folder)
        folder_row.setContentsMargins(0, 0, 0, 0)
        folder_row.addWidget(self._home, 1)
        folder_row.addWidget(change.native)
        form = QFormLayout()
        form.setContentsMargins(0, 0, 0, 0)
        form.addRow("Device", self.device.native)
        form.addRow("Window step", self.step.native)
        form.addRow(self.spare.native)
        form.addRow(missing)
        form.addRow("Data folder", folder)
        self.body.addLayout(form)
        self._show_home()

    def arguments(self) -> dict[str, Any]:
        """The arguments device, step, threads and nan_fill of a `Request`."""
        return {
            "device": self.device.value,
            "step": round(self.step.value, 3),
            "threads": self.threads(),
            "nan_fill": self.fill_value.value if self.fill.value else None,
        }

    def threads(self) -> int | None:
        """How many processor threads to use, None for all."""
        return max(1, _cores() - 1) if self.spare.value else None

    def _ask_for_home(self) -> None:
        chosen = QFileDialog.getExistingDirectory(self, "Folder for models and caches", str(home()))
        if chosen:
            self.home_chosen.emit(Path(chosen))
            self._show_home()

    def _show_home(self) -> None:
        folder = str(home())
        self._home.show_path(folder)
        self._home.setToolTip(f"Models that you add are kept in\n{folder}")


def _cores() -> int:
    """Cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def available_devices() -> list[str]:
    """Devices worth offering, found without importing torch, which takes seconds."""
    devices = ["auto", "cpu"]
    if find_spec("torch") is None:
        return devices
    if Path("/proc/driver/nvidia/version").exists() or (sys.platform == "win32" and Path("C:/Windows/System32/nvcuda.dll").exists()):
        devices.append("cuda")
    if sys.platform == "darwin" and platform.machine() == "arm64":
        devices.append("mps")
    return devices
