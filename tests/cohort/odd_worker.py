"""The worker, with cases that end it or never end; started by `test_faults` as a process of its own."""

from __future__ import annotations

import os
import signal
import sys
import threading
from pathlib import Path
from typing import Any

from ultralightunet.worker import server
from ultralightunet.worker.tasks import Tasks, Work


class OddTasks(Tasks):
    """What a damaged file does to a library in the worst case."""

    def case(self, *, case: Any, **facts: Any) -> Work:
        marker = Path(sys.argv[1]) / case["name"]
        is_new = not marker.exists()
        if case["name"] in ("ends it", "hangs", "ends it once"):
            marker.touch()
        if case["name"] == "ends it" or (case["name"] == "ends it once" and is_new):
            os.kill(os.getpid(), signal.SIGSEGV)
        if case["name"] == "hangs":
            threading.Event().wait()
        return super().case(case=case, **facts)


if __name__ == "__main__":
    server.Tasks = OddTasks  # type: ignore[misc]
    sys.exit(server.main())
