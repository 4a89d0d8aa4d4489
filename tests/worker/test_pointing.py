"""Prompts for the image that the process keeps are answered as a `PromptSession` answers them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.prompting.scenes import ball, blob
from ultralightunet import Box, Point, PromptSession, Stroke, Volume
from ultralightunet.errors import InputError
from ultralightunet.events import finish
from ultralightunet.worker.tasks import Tasks

AFFINE = np.array([[-1.0, 0, 0, 30], [0, 1, 0, -40], [0, 0, 3, 10], [0, 0, 0, 1]])


class Host:
    """Somebody who points, and keeps the mask on the image's grid.

    Attributes:
        mask: (*S) bool.
        notes: that came with the last answer.
    """

    def __init__(self, folder: Path, image: np.ndarray[Any, Any], **facts: Any) -> None:
        self.folder, self.tasks = folder, Tasks()
        np.save(folder / "image.npy", image)
        self.mask = np.zeros(image.shape, np.bool_)
        self.notes: list[str] = []
        self.ask(do="look_at", image=str(folder / "image.npy"), affine=AFFINE.tolist(), **facts)
        # It is read once.
        (folder / "image.npy").unlink()

    def ask(self, **request: Any) -> dict[str, Any]:
        return finish(self.tasks.begin({"id": 1, **request}))

    def point(self, *, new: dict[str, Any] | None = None, **prompt: Any) -> np.ndarray[Any, Any]:
        return self._shown(self.ask(do="point", prompt=prompt, new=new, mask=str(self.folder / "mask.npy")))

    def take_back(self) -> np.ndarray[Any, Any]:
        return self._shown(self.ask(do="take_back", mask=str(self.folder / "mask.npy")))

    def _shown(self, facts: dict[str, Any]) -> np.ndarray[Any, Any]:
        self.notes = facts.get("notes", [])
        self.mask = np.zeros_like(self.mask)
        part = np.load(self.folder / "mask.npy")
        assert facts["voxels"] == part.sum()
        self.mask[tuple(slice(a, b) for a, b in facts["ranges"])] = part
        return self.mask


def test_prompts_of_every_kind_are_answered_as_in_python(tmp_path: Path) -> None:
    image, _ = ball((5, 40, 48), (2, 20, 24), 9)
    host = Host(tmp_path, image.array)
    session = PromptSession(Volume(image.array, AFFINE), axis=0)
    expected = session.add(Point((2, 20, 24)))
    np.testing.assert_array_equal(host.point(kind="point", voxel=[2, 20, 24], new={"axis": 0}), expected)
    assert expected.any()
    expected = session.add(Stroke.along([(2, 18, 30), (2, 22, 36)], positive=False))
    np.testing.assert_array_equal(host.point(kind="stroke", path=[[2, 18, 30], [2, 22, 36]], positive=False), expected)
    before = expected.copy()
    expected = session.add(Box(((1, 2), (8, 30), (12, 36))))
    np.testing.assert_array_equal(host.point(kind="box", ranges=[[1, 2], [8, 30], [12, 36]]), expected)
    np.testing.assert_array_equal(host.take_back(), before)
    assert session.add(Point((2, 20, 33))) is not None
    host.point(kind="point", voxel=[2, 20, 33])
    assert host.notes == list(session.notes) == ["Prompts contradict each other in some voxels; the later one counts there."]


def test_another_object_begins_with_the_labels_that_are_there(tmp_path: Path) -> None:
    image, target = ball((5, 40, 48), (2, 20, 24), 9)
    host = Host(tmp_path, image.array)
    host.point(kind="point", voxel=[2, 20, 24], new={"slice_only": True})
    start = target & (np.arange(48) < 26)
    np.save(tmp_path / "start.npy", start[1:4])
    new = {"axis": 2, "slice_only": True, "start": {"ranges": [[1, 4], [0, 40], [0, 48]], "mask": str(tmp_path / "start.npy")}}
    first = np.zeros_like(start)
    first[1:4] = start[1:4]
    expected = PromptSession(Volume(image.array, AFFINE), start=first, axis=2, slice_only=True).add(Point((2, 20, 30)))
    np.testing.assert_array_equal(host.point(kind="point", voxel=[2, 20, 30], new=new), expected)


@pytest.mark.parametrize("channels", [1, 3])
def test_a_picture_is_a_volume_of_one_slice_for_the_host(tmp_path: Path, channels: int) -> None:
    picture = blob((40, 48), (20, 24), 9)[0].array
    if channels == 3:
        picture = np.stack((picture, picture // 2, 255 - picture), axis=-1)
    host = Host(tmp_path, picture[np.newaxis], is_flat=True, channels=channels)
    host.mask = np.zeros((1, 40, 48), np.bool_)
    expected = PromptSession(Volume(picture, AFFINE, channels)).add(Point((20, 24)))
    np.testing.assert_array_equal(host.point(kind="point", voxel=[0, 20, 24], new={"axis": 0})[0], expected)
    assert expected.any()


def test_what_is_refused_or_given_up_changes_nothing(tmp_path: Path) -> None:
    image, _ = ball((5, 40, 48), (2, 20, 24), 9)
    host = Host(tmp_path, image.array)
    with pytest.raises(InputError, match="expected an object to say more of, found none"):
        host.point(kind="point", voxel=[2, 20, 24])
    before = host.point(kind="point", voxel=[2, 20, 24], new={})
    for prompt, said in (
        ({"kind": "point", "voxel": [2, 20, 99]}, "expected a point inside the image's"),
        ({"kind": "poke", "voxel": [2, 20, 24]}, "expected a point, a stroke or a box, found 'poke'"),
        ({"kind": "point", "place": [2, 20, 24]}, "expected a prompt as a kind with its places"),
        ({"kind": "point", "voxel": "here"}, "expected"),
    ):
        with pytest.raises(InputError, match=said):
            host.point(**prompt)
    given_up = host.tasks.begin(
        {"id": 2, "do": "point", "mask": str(tmp_path / "no.npy"), "new": {}, "prompt": {"kind": "point", "voxel": [2, 5, 5]}}
    )
    next(given_up)
    given_up.close()
    expected = PromptSession(Volume(image.array, AFFINE))
    expected.add(Point((2, 20, 24)))
    np.testing.assert_array_equal(host.mask, before)
    np.testing.assert_array_equal(
        host.point(kind="point", voxel=[2, 20, 34], positive=False), expected.add(Point((2, 20, 34), positive=False))
    )


def test_an_image_that_was_put_away_is_not_pointed_at_any_more(tmp_path: Path) -> None:
    host = Host(tmp_path, ball((5, 40, 48), (2, 20, 24), 9)[0].array)
    host.ask(do="put_away")
    with pytest.raises(InputError, match="expected an image to point at, found none"):
        host.point(kind="point", voxel=[2, 20, 24], new={})
    with pytest.raises(InputError, match="expected an object to take a prompt of back, found none"):
        host.take_back()
