"""Numbers and labels are the same in every language of the computer, in a host that has Qt set it, in threads and in child processes."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

LANGUAGES = {"de_DE.UTF-8": ",", "fr_FR.UTF-8": ",", "tr_TR.UTF-8": ","}
"""Decimal commas in all three; in Turkish, besides, the small I is no i."""

PROBE = """
import hashlib, json, locale, sys, threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from PySide6.QtWidgets import QApplication

application = QApplication([])
comma = locale.localeconv()["decimal_point"]

import numpy as np
from ultralightunet import Segmentation, Session
from ultralightunet.child import run_child
from ultralightunet.events import finish
from ultralightunet.inference.request import Request
from ultralightunet.io import read_image, write_labels
from ultralightunet.io.nrrd import packed_nrrd
from ultralightunet.models import load_model

head, folder = Path(sys.argv[1]), Path(sys.argv[2])
affine = np.diag((1.25, 1.75, 2.5, 1.0))
affine[:3, 3] = (10.5, -20.25, 30.125)
labels = np.arange(60, dtype=np.uint8).reshape(3, 4, 5)
places = {}

def written(suffix):
    path = write_labels(Segmentation(labels, affine), folder / f"labels{suffix}")
    places[suffix] = read_image(path).affine.tolist()

for suffix in (".nrrd", ".mha", ".nii.gz"):
    written(suffix)
    with ThreadPoolExecutor(1) as thread:
        thread.submit(written, suffix).result()
(folder / "a.seg.nrrd").write_bytes(packed_nrrd(labels, affine, pairs={"Segment0_ID": "x"}))
places[".seg.nrrd"] = read_image(folder / "a.seg.nrrd").affine.tolist()

def labelled():
    # A new session: the second one reads the network that the first one kept on the disk.
    found = finish(Session().segment(read_image(head), Request(load_model("brain"), threads=1)))
    return hashlib.sha256(found.labels.tobytes()).hexdigest()

digests = [labelled(), labelled()]
child = run_child(["segment", str(head), "-o", str(folder / "child.nrrd"), "--model", "brain", "--threads", "1"])
for event in child:
    pass
digests.append(hashlib.sha256(read_image(folder / "child.nrrd").array.tobytes()).hexdigest())
still = locale.localeconv()["decimal_point"]
print(json.dumps({"comma": comma, "still": still, "places": places, "digests": digests, "expected": affine.tolist()}))
"""


@pytest.fixture(scope="session")
def languages(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the languages, made without asking the system for anything but their sources."""
    if shutil.which("localedef") is None or not Path("/usr/share/i18n/locales").is_dir():
        pytest.skip("needs localedef and the sources of locales (package locales on Debian), and a system of the GNU C library")
    folder = tmp_path_factory.mktemp("locales")
    for name in LANGUAGES:
        language, _, letters = name.partition(".")
        command = ["localedef", "--no-archive", "-i", language, "-f", letters, str(folder / name)]
        # It warns of small things in the system's own sources.
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if not (folder / name / "LC_NUMERIC").is_file():
            pytest.skip(f"localedef makes no {name} here: {done.stderr.strip().splitlines()[-1:]}")
    return folder


def probed(name: str, languages: Path, folder: Path, root: Path, sample_data: Path) -> Any:
    folder.mkdir()
    environment = {key: value for key, value in os.environ.items() if not key.startswith(("LC_", "LANG"))}
    environment |= {"LC_ALL": name, "LOCPATH": str(languages), "ULTRALIGHT_HOME": str(folder / "home"), "QT_QPA_PLATFORM": "offscreen"}
    environment |= {"PYTHONPATH": str(root), "PYTHONUTF8": "1"}
    command = [sys.executable, "-c", PROBE, str(sample_data / "colin27_hippocampus_left.nii.gz"), str(folder)]
    done = subprocess.run(command, capture_output=True, text=True, check=False, env=environment, cwd=root)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout.splitlines()[-1])


@pytest.fixture(scope="session")
def in_c(tmp_path_factory: pytest.TempPathFactory, languages: Path) -> Any:
    root = Path(__file__).parent.parent
    return probed("C", languages, tmp_path_factory.mktemp("c") / "c", root, root / "sample_data")


@pytest.mark.slow
@pytest.mark.parametrize("name", LANGUAGES)
def test_files_and_labels_are_the_same_in_every_language(
    name: str, languages: Path, in_c: Any, tmp_path: Path, root: Path, sample_data: Path
) -> None:
    assert in_c["comma"] == "."
    found = probed(name, languages, tmp_path / "run", root, sample_data)
    # Qt has set the language, and it is the host's: nobody has changed it back.
    assert (found["comma"], found["still"]) == (LANGUAGES[name], LANGUAGES[name])
    assert set(found["places"]) == {".nrrd", ".mha", ".nii.gz", ".seg.nrrd"}
    for suffix, place in found["places"].items():
        assert place == found["expected"], suffix
    assert set(found["digests"]) == set(in_c["digests"])
    assert len(set(in_c["digests"])) == 1
