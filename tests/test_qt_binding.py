"""The Qt binding that is installed does not wear out the process."""

from __future__ import annotations

import sys
from typing import Any

import pytest
from qtpy.QtCore import QObject, Signal


class Sender(QObject):  # type: ignore[misc]
    """Something with a signal."""

    said = Signal(object)


@pytest.mark.skipif(sys.version_info >= (3, 12), reason="None, True and False are immortal from Python 3.12 on")
@pytest.mark.usefixtures("qapp")
def test_a_signal_gives_back_no_more_references_than_it_took() -> None:
    # PySide6 6.12.0 gives back one of True for every call of a slot, and Python ends the process when none is left.
    sender, heard = Sender(), []
    sender.said.connect(lambda value: heard.append(value is None))
    constants: tuple[Any, ...] = (True, False)
    before = [sys.getrefcount(constant) for constant in constants]
    for _ in range(100):
        sender.said.emit(None)
    after = [sys.getrefcount(constant) for constant in constants]
    assert len(heard) == 100
    # `heard` itself holds a hundred references to True.
    assert after[0] - before[0] >= 90
    assert after[1] - before[1] >= -10
