"""Imports nibabel so that no socket is opened.

nibabel imports pydicom where it is installed, pydicom imports requests for downloading its test data, and requests opens a socket to
find out whether this computer speaks IPv6. Without requests pydicom does all that it does here.
"""

from __future__ import annotations

import sys

if "requests" in sys.modules:
    import nibabel
else:
    sys.modules["requests"] = None  # type: ignore[assignment]
    try:
        import nibabel  # noqa: F401
    finally:
        del sys.modules["requests"]
