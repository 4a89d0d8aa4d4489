"""Work that its caller waits for, beside a window that goes on being drawn."""

# mypy: disable-error-code="import-untyped"

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

from qtpy.QtCore import QCoreApplication, QEventLoop, QThread, QTimer

Result = TypeVar("Result")


def beside_the_window(work: Callable[[], Result]) -> Result:
    """Do `work` on another thread and wait for it; the window is drawn meanwhile, but takes no clicks and keys.

    napari expects of a writer that all is written when it returns.

    Raises:
        Exception: what `work` raises.
    """
    application = QCoreApplication.instance()
    if application is None or QThread.currentThread() is not application.thread():
        return work()
    with ThreadPoolExecutor(1) as pool:
        future = pool.submit(work)
        loop, timer = QEventLoop(), QTimer()
        timer.timeout.connect(lambda: loop.quit() if future.done() else None)
        timer.start(5)
        while not future.done():
            loop.exec(QEventLoop.ProcessEventsFlag.ExcludeUserInputEvents)
        timer.stop()
        return future.result()
