"""Segmenting on a CPU is small and silent: no torch, no network, nothing written to the user's home."""

import os
import subprocess
import sys
from pathlib import Path

PROBE = """
import socket, sys

def refuse(*arguments, **keywords):
    raise SystemExit("a socket was opened")

socket.socket.connect = refuse
socket.create_connection = refuse
socket.getaddrinfo = refuse
opened = []
watched = ("socket.connect", "socket.getaddrinfo", "socket.bind")
sys.addaudithook(lambda event, arguments: opened.append(event) if event in watched else None)

from ultralightunet.cli import main

code = main(["segment", sys.argv[1], "-o", sys.argv[2], "--model", "brain"])
heavy = sorted({"torch", "monai", "napari", "qtpy", "openvino_telemetry"} & {name for name, module in sys.modules.items() if module})
print("CODE", code, "HEAVY", heavy, "SOCKETS", opened)
"""


def test_a_cpu_segmentation_is_small_and_silent(tmp_path: Path, sample_data: Path, root: Path) -> None:
    home = tmp_path / "home"
    home.mkdir()
    environment = {key: value for key, value in os.environ.items() if key not in ("CI", "ULTRALIGHT_HOME") and not key.startswith("XDG_")}
    environment.update(HOME=str(home), PYTHONPATH=str(root))
    output = tmp_path / "labels.nii.gz"
    done = subprocess.run(
        [sys.executable, "-c", PROBE, str(sample_data / "colin27_t1.nii.gz"), str(output)],
        capture_output=True,
        text=True,
        env=environment,
        cwd=tmp_path,
        timeout=300,
        check=False,
    )
    assert "CODE 0 HEAVY [] SOCKETS []" in done.stdout, done.stdout + done.stderr
    assert output.exists()
    # The network, compiled, and nothing of the image.
    written = [path for path in home.rglob("*") if path.is_file()]
    assert [(path.parent.name, path.suffix) for path in written] == [("compiled", ".blob")]
    assert sorted(p.name for p in tmp_path.iterdir()) == ["home", "labels.nii.gz"]
