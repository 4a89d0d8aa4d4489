"""How files come to the disk: whole or not at all, with their folder's permissions, and without leaving anything of a killed process."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from ultralightunet import OutputError, disk
from ultralightunet.disk import (
    clear_unfinished,
    folder_beside,
    make_folder,
    read_json,
    read_small,
    replace_durably,
    share,
    unfinished,
    unfinished_in,
    write_durably,
)

posix = pytest.mark.skipif(os.name != "posix", reason="permissions and processes are another thing on Windows")


def mode(path: Path) -> int:
    return path.stat().st_mode & 0o777


@pytest.fixture
def mask() -> Iterator[None]:
    """Umask of a careful user: nobody else may read what is made."""
    before = os.umask(0o077)
    yield
    os.umask(before)


# ---- written beside and renamed


def test_a_file_is_replaced_whole_and_nothing_lies_beside_it(tmp_path: Path) -> None:
    path = tmp_path / "note"
    for content in (b"one", b"two" * 1000, b""):
        replace_durably(path, content)
        assert path.read_bytes() == content
    assert list(tmp_path.iterdir()) == [path]


def test_what_cannot_be_written_leaves_the_old_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "note"
    replace_durably(path, b"old")

    def full(descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.fsync", full)
    with pytest.raises(OSError, match="No space left"):
        replace_durably(path, b"new")
    assert [entry.read_bytes() for entry in tmp_path.iterdir()] == [b"old"]


def test_a_disk_that_gives_back_other_bytes_is_noticed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Path, "read_bytes", lambda path: b"other")
    with pytest.raises(OutputError, match="expected note to read back as written, found other bytes"):
        write_durably(tmp_path / "note", b"mine")


# ---- permissions


@posix
@pytest.mark.usefixtures("mask")
@pytest.mark.parametrize(("folder", "file"), [(0o755, 0o644), (0o775, 0o664), (0o750, 0o640), (0o700, 0o600)])
def test_a_new_file_can_be_read_by_whoever_may_read_its_folder(tmp_path: Path, folder: int, file: int) -> None:
    place = tmp_path / "place"
    place.mkdir()
    place.chmod(folder)
    make_folder(place / "a" / "b", within=place)
    replace_durably(place / "note", b"")
    replace_durably(place / "a" / "b" / "note", b"")
    assert [mode(path) for path in (place / "a", place / "a" / "b")] == [folder, folder]
    assert [mode(path) for path in (place / "note", place / "a" / "b" / "note")] == [file, file]


@posix
@pytest.mark.usefixtures("mask")
def test_a_new_place_is_the_users_own_and_a_folder_open_to_all_is_no_guide(tmp_path: Path) -> None:
    tmp_path.chmod(0o755)
    make_folder(tmp_path / "home" / "models", within=tmp_path / "home")
    assert (mode(tmp_path / "home"), mode(tmp_path / "home" / "models")) == (0o700, 0o700)
    tmp_path.chmod(0o1777)
    replace_durably(tmp_path / "note", b"")
    assert mode(tmp_path / "note") == 0o600


@posix
def test_a_disk_without_permissions_is_written_all_the_same(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refused(path: Path, bits: int) -> None:
        raise PermissionError(1, "Operation not permitted")

    monkeypatch.setattr(Path, "chmod", refused)
    replace_durably(tmp_path / "note", b"mine")
    share(tmp_path / "note")
    assert (tmp_path / "note").read_bytes() == b"mine"


# ---- what a killed process left


def killed(code: str, folder: Path) -> None:
    """Run Python code that says when it is in the middle of it, and kill it there."""
    job = subprocess.Popen([sys.executable, "-c", code, str(folder)], stdout=subprocess.PIPE, text=True)
    assert job.stdout is not None
    assert job.stdout.readline() == "in the middle\n"
    job.kill()
    job.wait()
    job.stdout.close()


IN_THE_MIDDLE = """
import sys, time
from pathlib import Path
from ultralightunet.disk import folder_beside, unfinished
(unfinished(Path(sys.argv[1]), suffix=".nii.gz")).write_bytes(b"half")
with folder_beside(Path(sys.argv[1]), "installing") as beside:
    (beside / "half").write_bytes(b"half")
    print("in the middle", flush=True)
    time.sleep(600)
"""


@posix
def test_the_next_run_clears_what_a_killed_one_left(tmp_path: Path) -> None:
    killed(IN_THE_MIDDLE, tmp_path)
    assert len(unfinished_in(tmp_path)) == 2
    with folder_beside(tmp_path, "installing") as beside:
        assert list(tmp_path.iterdir()) == [beside]
    assert list(tmp_path.iterdir()) == []


@posix
def test_what_another_process_is_at_stays(tmp_path: Path) -> None:
    job = subprocess.Popen([sys.executable, "-c", IN_THE_MIDDLE, str(tmp_path)], stdout=subprocess.PIPE, text=True)
    assert job.stdout is not None
    try:
        job.stdout.readline()
        assert clear_unfinished(tmp_path) == []
        assert len(unfinished_in(tmp_path)) == 2
    finally:
        job.kill()
        job.wait()
        job.stdout.close()
    assert len(clear_unfinished(tmp_path)) == 2


def test_what_another_computer_left_goes_after_a_day(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(disk, "_machine", lambda: "01234567")
        path = unfinished(tmp_path)
    path.write_bytes(b"")
    assert clear_unfinished(tmp_path) == []
    two_days_ago = time.time() - 2 * 24 * 3600
    os.utime(path, (two_days_ago, two_days_ago))
    assert clear_unfinished(tmp_path) == [path]


@pytest.mark.parametrize(
    "name",
    [
        ".writing-0123456789ab",
        ".installing-k3x_09ab",
        ".0123456789ab.partial.nii.gz",
        ".dataset.json.01234567.partial",
        ".current-abcdefgh",
    ],
)
def test_what_earlier_versions_left_goes_after_a_day(tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_bytes(b"")
    assert clear_unfinished(tmp_path) == []
    os.utime(tmp_path / name, (0, 0))
    assert clear_unfinished(tmp_path) == [tmp_path / name]


@pytest.mark.parametrize(
    "name",
    [
        ".lock",
        ".git",
        ".DS_Store",
        ".training.partial",
        "scan.partial",
        ".writing-",
        ".nfs0123",
        ".partial-mine",
        ".partial-01234567-1-x",
    ],
)
def test_nobody_elses_files_are_cleared(tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_bytes(b"")
    os.utime(tmp_path / name, (0, 0))
    assert clear_unfinished(tmp_path, everything=True) == []


def test_a_link_is_cleared_and_what_it_leads_to_stays(tmp_path: Path) -> None:
    (tmp_path / "theirs").mkdir()
    (tmp_path / "theirs" / "scan").write_bytes(b"")
    (tmp_path / "mine").mkdir()
    link = unfinished(tmp_path / "mine")
    link.symlink_to(tmp_path / "theirs")
    assert clear_unfinished(tmp_path / "mine", everything=True) == [link]
    assert (tmp_path / "theirs" / "scan").exists()


def test_a_folder_that_is_gone_has_nothing_to_clear(tmp_path: Path) -> None:
    assert clear_unfinished(tmp_path / "nothing") == []


# ---- read


@pytest.mark.parametrize("text", ["NaN", "[1, -Infinity]", "1e999", "{", "", '"\\ud800"', "\x00", "[" * 100_000])
def test_json_that_could_not_be_written_again_is_damaged(tmp_path: Path, text: str) -> None:
    (tmp_path / "facts.json").write_text(text)
    with pytest.raises((ValueError, RecursionError)):
        read_json(tmp_path / "facts.json")


def test_json_says_what_it_says(tmp_path: Path) -> None:
    (tmp_path / "facts.json").write_text(json.dumps({"name": "Gefäß 海馬", "sizes": [1, 2.5, None]}, ensure_ascii=False), encoding="utf-8")
    assert read_json(tmp_path / "facts.json") == {"name": "Gefäß 海馬", "sizes": [1, 2.5, None]}


@posix
def test_a_pipe_and_a_file_that_is_too_large_are_not_read(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "large").write_bytes(b"12345")
    with pytest.raises(ValueError, match="pipe is no file"):
        read_small(tmp_path / "pipe")
    with pytest.raises(ValueError, match=re.escape("5 bytes are more than large can hold")):
        read_small(tmp_path / "large", most=4)
    assert read_small(tmp_path / "large", most=5) == b"12345"
