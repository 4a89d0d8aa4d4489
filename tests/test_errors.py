"""The border of a package: whatever is raised inside leaves as one clear sentence of ours."""

from __future__ import annotations

import struct
from collections.abc import Generator
from pathlib import Path

import pytest

from ultralightunet.errors import InputError, ModelError, only_our_errors

SCAN = Path("scan.nii")


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (ValueError("while reading\nbad magic"), r"found a damaged or other file scan.nii \(bad magic\)"),
        (struct.error("unpack requires 4 bytes"), r"\(unpack requires 4 bytes\)"),
        (RecursionError(), r"\(RecursionError\)"),
        (PermissionError(13, "Permission denied", "/elsewhere"), "found an obstacle at scan.nii: Permission denied"),
        (MemoryError(), "that fits into memory"),
    ],
)
def test_whatever_a_library_raises_leaves_as_ours_and_keeps_its_cause(error: Exception, said: str) -> None:
    with pytest.raises(ModelError, match=f"^expected a scan.*{said}") as caught, only_our_errors(SCAN, "a scan", kind=ModelError):
        raise error
    assert caught.value.__cause__ is error


def test_what_is_ours_keeps_its_kind_and_names_the_file() -> None:
    with pytest.raises(ModelError, match="^scan.nii: expected a model$"), only_our_errors(SCAN, "a scan"):
        raise ModelError("expected a model")
    with pytest.raises(InputError, match="^expected voxels in scan.nii$"), only_our_errors(SCAN, "a scan"):
        raise InputError("expected voxels in scan.nii")


def test_a_name_with_line_breaks_makes_one_line() -> None:
    with pytest.raises(InputError, match="^expected a scan, found a damaged or other file a b "), only_our_errors(Path("a\nb"), "a scan"):
        raise ValueError


@pytest.mark.parametrize("signal", [KeyboardInterrupt, SystemExit])
def test_who_cancels_is_not_told_of_a_damaged_file(signal: type[BaseException]) -> None:
    with pytest.raises(signal), only_our_errors(SCAN, "a scan"):
        raise signal


def test_work_that_is_closed_inside_a_border_ends_quietly() -> None:
    def work() -> Generator[int, None, None]:
        with only_our_errors(SCAN, "a scan"):
            yield 1

    running = work()
    next(running)
    running.close()
