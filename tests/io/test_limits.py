"""A small file cannot fill the machine, and only our own errors leave the readers."""

from __future__ import annotations

import subprocess
import sys
import zlib
from pathlib import Path

import pytest

from ultralightunet import InputError
from ultralightunet.errors import UltraLightError
from ultralightunet.io.border import only_our_errors
from ultralightunet.io.limits import MULTIPLE, USUAL, VARIABLE, check_memory, parse_memory, set_max_memory

HERE = Path("scan.nii.gz")


@pytest.fixture(autouse=True)
def no_limit_set(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(VARIABLE, raising=False)


def test_a_file_may_unpack_to_a_gigabyte_or_to_a_multiple_of_its_size() -> None:
    check_memory(USUAL, 10, HERE)
    with pytest.raises(InputError, match=r"at most 1 GB in memory, found a header that claims 2 GB in scan.nii.gz .*--max-memory"):
        check_memory(2 * USUAL, 10, HERE)
    large = USUAL // 100
    check_memory(MULTIPLE * large, large, HERE)
    with pytest.raises(InputError, match="--max-memory"):
        check_memory(MULTIPLE * large + 1, large, HERE)


def test_no_file_may_take_more_than_the_computer_has() -> None:
    with pytest.raises(InputError, match="--max-memory"):
        check_memory(2**60, 2**59, HERE)


def test_a_limit_that_somebody_set_counts_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(VARIABLE, "")
    set_max_memory("3 GB")
    check_memory(3 * 2**30, 1, HERE)
    with pytest.raises(InputError, match="at most 3 GB"):
        check_memory(3 * 2**30 + 1, 2**40, HERE)
    set_max_memory(None)
    with pytest.raises(InputError, match="at most 1 GB"):
        check_memory(3 * 2**30, 1, HERE)
    monkeypatch.setenv(VARIABLE, "plenty")
    with pytest.raises(InputError, match=f"such as 8G or 512M, found 'plenty' in the environment variable {VARIABLE}"):
        check_memory(1, 1, HERE)


def test_amounts_of_memory_are_read_as_people_write_them() -> None:
    assert [parse_memory(text) for text in ("8G", "512M", "1.5 GB", "100k", "2GiB", "77")] == [2**33, 2**29, 3 * 2**29, 102400, 2**31, 77]
    for wrong in ("", "0", "-1G", "G", "8X", "1e3"):
        with pytest.raises(ValueError, match="amount of memory"):
            parse_memory(wrong)


@pytest.mark.parametrize(
    "raised",
    [
        zlib.error("Error -3"),
        IndexError(),
        RecursionError("deep\nlast words"),
        MemoryError(),
        PermissionError(13, "Permission denied"),
        EOFError("cut off"),
        AttributeError("no such\nthing"),
    ],
)
def test_whatever_a_library_raises_becomes_one_sentence_with_the_path(raised: Exception) -> None:
    with pytest.raises(InputError, match="expected an image.*, found .*scan.nii.gz.*; ") as caught, only_our_errors(HERE):
        raise raised
    assert "\n" not in str(caught.value)
    assert caught.value.__cause__ is raised


def test_our_own_errors_keep_their_kind_and_get_the_path() -> None:
    class Special(UltraLightError):
        pass

    with pytest.raises(Special, match=r"^scan.nii.gz: too\s+odd$"), only_our_errors(HERE):
        raise Special("too\nodd")
    with pytest.raises(Special, match=r"^scan.nii.gz is odd$"), only_our_errors(HERE):
        raise Special("scan.nii.gz is odd")
    odd = Path("two\nlines.nii")
    with pytest.raises(InputError, match="two lines.nii") as caught, only_our_errors(odd):
        raise InputError(f"expected more, found less in {odd}")
    assert "\n" not in str(caught.value)


def test_cancelling_is_no_error_of_a_file() -> None:
    for raised in (KeyboardInterrupt, SystemExit, GeneratorExit):
        with pytest.raises(raised), only_our_errors(HERE):
            raise raised


def test_the_command_line_takes_a_limit(root: Path, sample_data: Path, tmp_path: Path) -> None:
    head = str(sample_data / "colin27_t1.nii.gz")
    for option, rc, said in (("1M", 1, "at most 1 MB in memory"), ("much", 2, "such as 8G or 512M, found 'much'")):
        command = [sys.executable, "-m", "ultralightunet", "segment", head, "-o", str(tmp_path / "o.nii.gz"), "--max-memory", option]
        done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=root)
        assert (done.returncode, done.stdout) == (rc, "")
        assert said in done.stderr
    assert list(tmp_path.iterdir()) == []
