"""Debian's Chromium, driven over its own pipe: what a page shows, and keys that a person presses."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from tests.waiting import until


class Browser:
    """One page. Messages are JSON, each with a zero byte behind it (Chrome DevTools Protocol)."""

    def __init__(self, writing: int, reading: int) -> None:
        self._out, self._in = os.fdopen(writing, "wb", 0), os.fdopen(reading, "rb", 0)
        self._rest, self._number, self._session = b"", 0, ""
        self.told: list[dict[str, Any]] = []
        target = self.send("Target.createTarget", url="about:blank")["targetId"]
        self._session = self.send("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
        for domain in ("Page", "Runtime", "Log", "Network"):
            self.send(f"{domain}.enable")

    def send(self, method: str, **parameters: Any) -> dict[str, Any]:
        """Ask for something, and wait for the answer."""
        self._number += 1
        message = {"id": self._number, "method": method, "params": parameters, **({"sessionId": self._session} if self._session else {})}
        self._out.write(json.dumps(message).encode() + b"\0")
        while True:
            answer = self._next()
            if answer.get("id") == self._number:
                assert "error" not in answer, answer
                result: dict[str, Any] = answer["result"]
                return result
            self.told.append(answer)

    def _next(self) -> dict[str, Any]:
        while b"\0" not in self._rest:
            more = self._in.read(65536)
            assert more, "the browser has gone"
            self._rest += more
        message, self._rest = self._rest.split(b"\0", 1)
        found: dict[str, Any] = json.loads(message)
        return found

    def open(self, page: Path) -> None:
        """Open a file, and wait until it is loaded."""
        self.told.clear()
        self.send("Page.navigate", url=page.resolve().as_uri())
        until(lambda: self.run("document.readyState === 'complete' && location.protocol === 'file:'"))

    def run(self, script: str) -> Any:
        """What an expression of JavaScript comes to."""
        result = self.send("Runtime.evaluate", expression=script, returnByValue=True, awaitPromise=True)
        assert "exceptionDetails" not in result, result
        return result["result"].get("value")

    def press(self, *keys: str) -> None:
        """Press keys, one after the other."""
        for key in keys:
            code = {"Enter": 13, "Escape": 27, "ArrowDown": 40, "ArrowUp": 38}.get(key, ord(key[0].upper()))
            text = {"text": key} if len(key) == 1 else {}
            self.send("Input.dispatchKeyEvent", type="keyDown", key=key, windowsVirtualKeyCode=code, **text)
            self.send("Input.dispatchKeyEvent", type="keyUp", key=key, windowsVirtualKeyCode=code)

    def complaints(self) -> list[str]:
        """What the page or the browser complained of, and what was asked of a network."""
        self.run("1")
        wrong = [str(event["params"]) for event in self.told if event.get("method") in ("Runtime.exceptionThrown", "Log.entryAdded")]
        asked = [e["params"]["request"]["url"] for e in self.told if e.get("method") == "Network.requestWillBeSent"]
        return wrong + [url for url in asked if not url.startswith(("file:", "data:", "blob:"))]


@contextmanager
def chromium(profile: Path, *, scripts: bool = True) -> Iterator[Browser]:
    """A browser; the test is skipped where there is none."""
    program = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    if program is None or os.name != "posix":
        pytest.skip("needs Chromium (apt-get install chromium)")
    their_in, our_out = os.pipe()
    our_in, their_out = os.pipe()

    def take_pipes() -> None:
        # The browser reads from 3 and writes to 4. Higher numbers first, because theirs may be 3 or 4 themselves.
        reading, writing = os.dup(their_in), os.dup(their_out)
        os.dup2(reading, 63), os.dup2(writing, 64)
        os.dup2(63, 3), os.dup2(64, 4)

    options = ["--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--no-first-run", "--remote-debugging-pipe"]
    process = subprocess.Popen(
        [program, *options, f"--user-data-dir={profile}", "--window-size=1400,900"],
        preexec_fn=take_pipes,
        close_fds=False,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    os.close(their_in)
    os.close(their_out)
    try:
        browser = Browser(our_out, our_in)
        if not scripts:
            browser.send("Emulation.setScriptExecutionDisabled", value=True)
        yield browser
    finally:
        process.terminate()
        process.wait()
