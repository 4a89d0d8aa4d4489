"""`python -m ultralightunet.worker` serves the host at the other end of stdin and stdout."""

from __future__ import annotations

import sys

from .server import main

if __name__ == "__main__":
    sys.exit(main())
