"""A store from somebody else: nothing in it becomes a path, or a number, without a look at it; and no link leads out of it."""

from __future__ import annotations

import json
import os
import shutil
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.command import Command
from tests.corrections.cases import labels_on, mended, save, scan
from tests.damage import damaged_bytes, damaged_json
from ultralightunet import InputError, UltraLightError
from ultralightunet.corrections import Store
from ultralightunet.exports import FORMATS, export

WRITERS = tuple(name for name in FORMATS if name != "dicom-seg")

SECRET = "what is nobody's business"


def everything_in(folder: Path) -> dict[str, bytes]:
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}


def edit(revision: Any, *keys: str, value: Any) -> None:
    """Write other facts, as somebody who made the store could."""
    path = revision.folder / "facts.json"
    facts = json.loads(path.read_text())
    inner = facts
    for key in keys[:-1]:
        inner = inner[key]
    inner[keys[-1]] = value
    path.write_text(json.dumps(facts))


def told(*steps: Callable[[], Any]) -> list[str]:
    """What is said where steps end in an error of ours; any other error is not caught."""
    said = []
    for step in steps:
        try:
            step()
        except UltraLightError as error:
            said.append(str(error))
    return said


def read_all(store: Store) -> None:
    for revision in store.revisions():
        revision.labels(), revision.image(), revision.checked()


# ---- names


@pytest.mark.parametrize("name", WRITERS)
@pytest.mark.parametrize(
    ("keys", "value"),
    [
        (("case",), "../../../../victim/pwned"),
        (("case",), "{victim}/pwned"),
        (("case",), "0123456789abcdef"),
        (("group",), "x/../../../victim/pwned"),
        (("group",), "p0123"),
        (("revision",), 7),
        (("image", "files"), {"../../victim/image.nii.gz": "0" * 64}),
        (("files",), {"labels.nii.gz": "0" * 64, "../../../victim/labels.nii.gz": "0" * 64}),
    ],
    ids=str,
)
def test_no_name_in_facts_leads_out_of_an_export(tmp_path: Path, name: str, keys: tuple[str, ...], value: Any) -> None:
    victim = tmp_path / "victim"
    victim.mkdir()
    store = Store(tmp_path / "store")
    good, evil = save(store), save(store, 1)
    edit(evil, *keys, value=value.format(victim=victim) if isinstance(value, str) else value)
    (tmp_path / "a" / "b").mkdir(parents=True)
    out = export(Store(tmp_path / "store"), tmp_path / "a" / "b" / "out", format=name)
    assert [revision.case for revision in store.cases()] == [good.case], "the other one is passed over, and named"
    assert any(good.case in path.as_posix() for path in out.rglob("*"))
    assert not any(evil.case in path.as_posix() for path in out.rglob("*"))
    assert list(victim.iterdir()) == []
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a", "store", "victim"]
    assert [problem.kind for problem in store.check().problems if problem.is_loss] == ["damaged"]


@pytest.mark.parametrize(
    ("keys", "value"),
    [
        (("role",), "both"),
        (("image", "shape"), [6, 8]),
        (("image", "shape"), [0, 8, 10]),
        (("image", "shape"), [10**9, 10**9, 10**9]),
        (("image", "channels"), 10**9),
        (("image", "affine"), [[0.0] * 4] * 4),
        (("image", "affine"), [[1.0, 0, 0, 0]]),
        (("image", "sha256"), "a hash"),
        (("classes",), []),
        (("classes",), [{"index": 0, "name": "background", "color": [0, 0, 0]}, {"index": 1, "name": "a\x1b[2J", "color": [0, 0, 0]}]),
        (("classes",), [{"index": 0, "name": "background", "color": [0, 0, 0]}, {"index": 1, "name": "a", "color": [0, 0, 999]}]),
        (("voxels_checked",), -1),
        (("voxels_changed",), 10**12),
        (("dice",), 7.5),
        (("dice",), "good"),
        (("content",), {}),
        (("model",), None),
    ],
    ids=str,
)
def test_facts_that_cannot_be_are_passed_over_and_the_rest_is_used(
    tmp_path: Path, keys: tuple[str, ...], value: Any, ultralight: Command, caplog: pytest.LogCaptureFixture
) -> None:
    store = Store(tmp_path / "store")
    good, odd = save(store), save(store, 1)
    edit(odd, *keys, value=value)
    listed = ultralight("corrections", "list", store.folder)
    assert listed.code == 0
    assert good.name in listed.out
    assert odd.case not in listed.out
    assert odd.case in caplog.text, "it is named"
    with pytest.raises(InputError, match="found damaged ones only"):
        save(Store(store.folder), 1)
    assert save(Store(store.folder), 2).number == 1


@pytest.mark.parametrize(
    "facts", [[], 3, {}, {"schema_version": 1}, {"schema_version": [1]}, {"schema_version": 1, "salt": "", "holdout_share": 0.2}], ids=str
)
def test_a_store_whose_own_facts_are_odd_is_refused_in_a_sentence(tmp_path: Path, facts: Any, ultralight: Command) -> None:
    save(Store(tmp_path / "store"))
    (tmp_path / "store" / "store.json").write_text(json.dumps(facts))
    for command in (("list",), ("check",)):
        result = ultralight("corrections", *command, tmp_path / "store")
        assert result.code == 1
        assert result.err.startswith("ultralight: expected a store of corrections, found a damaged")


# ---- links


def linked(path: Path, target: Path) -> None:
    """Put a link in the place of a file or folder."""
    if path.is_dir():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)
    path.symlink_to(target)


@pytest.mark.skipif(sys.platform == "win32", reason="links need rights on Windows")
@pytest.mark.parametrize("name", ["store.json", "ledger.jsonl", "dataset.json", "index.jsonl", ".lock", "cases", "derived"])
def test_a_store_of_which_a_part_is_a_link_to_elsewhere_is_not_opened(tmp_path: Path, name: str) -> None:
    save(Store(tmp_path / "store"), checked={0: [1]})
    (tmp_path / "victim").mkdir()
    there = tmp_path / "victim" / name
    path = tmp_path / "store" / name
    if path.is_dir():
        shutil.copytree(path, there)
    else:
        shutil.copyfile(path, there)
    linked(path, there)
    before = everything_in(tmp_path / "victim")
    with pytest.raises(InputError, match=f"expected {name} in the store .*, found a link that leads out of it"):
        save(Store(tmp_path / "store"), 1)
    assert everything_in(tmp_path / "victim") == before


@pytest.fixture
def two_stores(tmp_path: Path) -> tuple[Store, Store]:
    """Both with the same two corrections."""
    stores = Store(tmp_path / "store"), Store(tmp_path / "other")
    for store in stores:
        save(store)
        save(store, 1)
    return stores


@pytest.mark.skipif(sys.platform == "win32", reason="links need rights on Windows")
@pytest.mark.parametrize("what", ["", "0001", "0001/facts.json"])
def test_a_correction_that_lies_elsewhere_is_passed_over(two_stores: tuple[Store, Store], what: str) -> None:
    store, other = two_stores
    evil = store.cases()[0]
    linked(evil.folder.parent / what, other.folder / evil.folder.parent.relative_to(store.folder) / what)
    before = everything_in(other.folder)
    assert evil.case not in [revision.case for revision in store.cases()]
    (problem,) = [problem for problem in store.check().problems if problem.is_loss]
    assert evil.case in problem.where
    assert "leads out of it" in problem.text
    for image in (scan(), scan(1)):
        said = told(lambda image=image: store.add(image, mended(labels_on(image), label=2), None))
        assert not said or "leads out of it" in said[0] or "damaged ones only" in said[0]
    assert everything_in(other.folder) == before


@pytest.mark.skipif(sys.platform == "win32", reason="links need rights on Windows")
@pytest.mark.parametrize(
    ("what", "read"), [("image.nii.gz", "image"), ("0001/labels.nii.gz", "labels"), ("0001/prediction.nii.gz", "prediction")]
)
def test_a_file_that_lies_elsewhere_is_neither_read_nor_exported(two_stores: tuple[Store, Store], what: str, read: str) -> None:
    store, other = two_stores
    evil = store.cases()[0]
    path = evil.folder.parent / what
    linked(path, other.folder / path.relative_to(store.folder))
    with pytest.raises(InputError, match="leads out of it"):
        getattr(store.cases()[0], read)()
    (problem,) = [problem for problem in store.check().problems if problem.is_loss]
    assert "leads out of it" in problem.text
    if read != "prediction":
        for name in WRITERS:
            with pytest.raises(InputError, match="leads out of it"):
                export(store, store.folder.parent / "out", format=name)


@pytest.mark.skipif(sys.platform == "win32", reason="links need rights on Windows")
def test_links_within_a_store_are_followed(tmp_path: Path) -> None:
    store = Store(tmp_path / "store")
    found = save(store)
    image = found.image_paths[0]
    image.rename(store.folder / "large.nii.gz")
    image.symlink_to("../../large.nii.gz")
    (tmp_path / "by-another-name").symlink_to(store.folder)
    assert Store(tmp_path / "by-another-name").cases()[0].image().shape == (6, 8, 10)
    assert Store(tmp_path / "by-another-name").check().problems == ()


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no pipes in folders")
@pytest.mark.parametrize("name", ["store.json", "facts.json", "ledger.jsonl", "dataset.json", "index.jsonl"])
def test_a_pipe_in_a_store_does_not_hang(tmp_path: Path, name: str) -> None:
    found = save(Store(tmp_path / "store"))
    path = found.folder / name if name == "facts.json" else tmp_path / "store" / name
    path.unlink()
    os.mkfifo(path)
    assert all("expected" in text for text in told(lambda: Store(tmp_path / "store").cases(), lambda: save(Store(tmp_path / "store"), 1)))


# ---- whatever else

FILES = (
    "store.json",
    "dataset.json",
    "ledger.jsonl",
    "index.jsonl",
    "cases/*/0001/facts.json",
    "cases/*/0001/labels.nii.gz",
    "cases/*/image.nii.gz",
)


@pytest.fixture(scope="module")
def small_store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    store = Store(tmp_path_factory.mktemp("strangers") / "store")
    for seed in range(2):
        save(store, seed, checked={0: [1]} if seed else None)
    return store.folder


@settings(max_examples=60)
@given(data=st.data())
def test_a_damaged_store_never_ends_in_anything_but_a_sentence(
    small_store: Path, tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch, data: st.DataObject
) -> None:
    # This is about what is read, and a disk has time for a hundred writes a second only.
    monkeypatch.setattr("os.fsync", lambda descriptor: None)
    folder = tmp_path_factory.mktemp("damaged")
    shutil.copytree(small_store, folder / "store")
    pattern = data.draw(st.sampled_from(FILES))
    path = sorted((folder / "store").glob(pattern))[0]
    blob = path.read_bytes()
    path.write_bytes(data.draw(damaged_json(json.loads(blob)) if path.suffix == ".json" else damaged_bytes(blob)))
    store = folder / "store"
    steps = (
        lambda: Store(store).count(),
        lambda: Store(store).classes,
        lambda: Store(store).check(),
        lambda: read_all(Store(store)),
        lambda: save(Store(store), 7),
        lambda: Store(store).repair(),
        lambda: export(Store(store), folder / "out" / "here", format="bids"),
    )
    assert [text for text in told(*steps) if "\n" in text or "expected" not in text] == []
    assert {entry.name for entry in folder.iterdir()} <= {"store", "out"}
    assert not (folder / "out").exists() or {entry.name for entry in (folder / "out").iterdir()} <= {"here"}
    shutil.rmtree(folder)
