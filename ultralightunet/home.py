"""The one place for what a user makes: models, stores of corrections and caches."""

from __future__ import annotations

import os
from pathlib import Path

import platformdirs


def home() -> Path:
    """`$ULTRALIGHT_HOME`, else the platform's folder for user data; created only when something is written to it."""
    chosen = os.environ.get("ULTRALIGHT_HOME")
    return Path(chosen).expanduser() if chosen else platformdirs.user_data_path("ultralight", appauthor=False)
