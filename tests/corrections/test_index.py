"""The index of a store: it makes a large one quick, says nothing of its own, and is made anew wherever it does not fit."""

from __future__ import annotations

import json
import shutil
import zlib
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.corrections.cases import THREE, labels_on, mended, save, scan
from ultralightunet import InputError
from ultralightunet.corrections import Store
from ultralightunet.corrections.checking import latest_of
from ultralightunet.corrections.dataset import dataset_facts
from ultralightunet.corrections.index import current_index, read_index
from ultralightunet.corrections.records import Revision, to_facts


def filled(folder: Path) -> Store:
    """With a partly checked case, two revisions of a case, and several patients."""
    store = Store(folder)
    for seed in range(6):
        save(store, seed, patient_key=f"patient {seed // 2}", checked={0: [1, 2]} if seed == 3 else None, modality="CT" if seed else "")
    image = scan(1)
    store.add(image, mended(labels_on(image), label=2), None)
    return store


def said(store: Store) -> list[Any]:
    """All that a store tells."""
    return [
        [(revision.folder, to_facts(revision)) for revision in store.revisions()],
        [(revision.folder, to_facts(revision)) for revision in store.cases()],
        store.cases("holdout"),
        store.classes,
        store.count(),
        store.names(),
    ]


def without_index(store: Store) -> Store:
    """A copy that has none."""
    copy = store.folder.with_name(f"{store.folder.name}-plain")
    shutil.copytree(store.folder, copy)
    (copy / "index.jsonl").unlink()
    return Store(copy)


def is_true(store: Store) -> None:
    """What is derived says what the corrections say, and nothing is unlisted."""
    revisions = store.revisions()
    said = json.loads((store.folder / "dataset.json").read_text())
    assert said == dataset_facts(latest_of(revisions), store.classes)
    assert [problem for problem in store.check().problems if problem.kind in ("dataset", "unlisted", "lost")] == []
    index = current_index(store.folder)
    assert index is not None
    assert Counter((entry.case, entry.number) for entry in index.entries) == Counter((r.case, r.number) for r in revisions)


def facts_of(found: Any, folder: Path) -> str:
    return json.dumps(found, default=str, sort_keys=True).replace(str(folder), "")


# ---- it says what the corrections say


def test_a_store_tells_the_same_with_and_without_its_index(tmp_path: Path) -> None:
    store = filled(tmp_path / "store")
    assert current_index(store.folder) is not None
    plain = without_index(store)
    assert facts_of(said(store), store.folder) == facts_of(said(plain), plain.folder)
    is_true(store)


def test_an_affine_and_a_picture_come_back_to_the_last_bit(tmp_path: Path) -> None:
    picture = scan(shape=(20, 30, 3), dtype=np.uint8, affine=np.diag((1 / 3, 0.1 + 0.2, 1.0, 1.0)), channels=3)
    store = Store(tmp_path)
    saved = store.add(picture, labels_on(picture), None)
    (found,) = store.cases()
    assert current_index(tmp_path) is not None
    np.testing.assert_array_equal(found.affine, picture.affine)
    assert found.image_paths == saved.image_paths
    assert to_facts(found) == to_facts(saved)


def test_a_further_case_is_added_without_reading_the_facts_of_the_others(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    store = filled(tmp_path)

    def refused(*_: object, **__: object) -> None:
        raise AssertionError("all others were read")

    for name in ("saving.listed", "store.listed", "saving.read_ledger"):
        monkeypatch.setattr(f"ultralightunet.corrections.{name}", refused)
    new = save(Store(tmp_path), 20, patient_key="patient 1")
    image = scan(20)
    again = Store(tmp_path).add(image, mended(labels_on(image), label=2), None)
    assert (new.number, again.number) == (1, 2)
    monkeypatch.undo()
    assert new.role == next(revision.role for revision in store.cases() if revision.group == new.group), "that of its patient"
    is_true(store)


def test_listing_and_counting_read_no_facts_that_did_not_change(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    store = filled(tmp_path)
    read: list[Path] = []
    monkeypatch.setattr("ultralightunet.corrections.listing.read_revision", read.append)
    assert len(store.cases()) == 6
    assert sum(store.count().values()) == 6
    assert len(store.revisions()) == 7
    assert read == []


def test_an_image_that_is_turned_is_found_among_many(tmp_path: Path) -> None:
    store = filled(tmp_path)
    image = scan(4)
    turned = image.array[::-1, :, ::-1]
    affine = image.affine @ np.array([[-1, 0, 0, 9], [0, 1, 0, 0], [0, 0, -1, 5], [0, 0, 0, 1.0]])
    other = scan(4, affine=affine)
    other.array[:] = turned
    found = store.add(other, labels_on(other, seed=3), None)
    assert (found.number, len(store.cases())) == (2, 6)


# ---- where it does not fit


@pytest.mark.parametrize("damage", ["gone", "empty", "cut short", "a bit", "a line", "another store's", "not text"])
def test_a_damaged_index_is_not_believed_and_the_next_save_makes_it_anew(tmp_path: Path, damage: str) -> None:
    store = filled(tmp_path / "store")
    path = store.folder / "index.jsonl"
    before = said(store)
    blob = path.read_bytes()
    place = blob.index(b"train") + 2
    other = Store(tmp_path / "other")
    save(other, 30)
    others = {
        "empty": b"",
        "cut short": blob[: len(blob) // 2],
        "a bit": blob[:place] + bytes([blob[place] ^ 1]) + blob[place + 1 :],
        "a line": b"".join(blob.splitlines(keepends=True)[1:]),
        "another store's": (other.folder / "index.jsonl").read_bytes(),
        "not text": bytes(range(256)),
    }
    if damage == "gone":
        path.unlink()
    else:
        path.write_bytes(others[damage])
    assert said(Store(store.folder)) == before
    save(Store(store.folder), 21)
    assert len(store.cases()) == 7
    is_true(store)


def test_what_another_version_saved_is_known(tmp_path: Path) -> None:
    store = filled(tmp_path / "store")
    before = (store.folder / "index.jsonl").read_bytes()
    new = save(store, 22)
    # An earlier version writes all but the index.
    (store.folder / "index.jsonl").write_bytes(before)
    assert current_index(store.folder) is None
    assert new in store.cases()
    assert sum(store.count().values()) == 7
    assert save(store, 23).number == 1
    assert len(store.cases()) == 8
    is_true(store)


@pytest.mark.parametrize("what", ["a case", "a revision", "facts"])
def test_what_was_taken_away_and_brought_back_by_hand_is_seen(tmp_path: Path, what: str) -> None:
    store = filled(tmp_path / "store")
    revision = next(revision for revision in store.revisions() if revision.number == 2)
    path = {"a case": revision.folder.parent, "a revision": revision.folder, "facts": revision.folder / "facts.json"}[what]
    before = len(store.revisions())
    path.rename(tmp_path / "elsewhere")
    assert revision not in store.revisions()
    assert revision not in store.cases()
    save(store, 24)
    (tmp_path / "elsewhere").rename(path)
    assert revision in store.cases()
    assert len(store.revisions()) == before + 1
    assert save(store, 25) in store.cases()
    assert store.repair() == []
    is_true(store)


def test_facts_that_were_changed_are_read_again(tmp_path: Path) -> None:
    store = filled(tmp_path)
    revision = store.cases()[2]
    path = revision.folder / "facts.json"
    path.write_text(path.read_text().replace('"modality": "CT"', '"modality": "MR"').replace('"modality": ""', '"modality": "MR"'))
    assert store.cases()[2].modality == "MR"


def test_nothing_in_an_index_becomes_a_path(tmp_path: Path) -> None:
    """Somebody who made the store can make checksums that fit, too."""
    store = filled(tmp_path / "store")
    path = store.folder / "index.jsonl"
    before = said(store)
    body, _, _ = path.read_bytes().rstrip(b"\n").rpartition(b"\t")
    group = before[0][0][1]["group"].encode()
    for old, new in ((group, b"../../../../../../outside"), (b'"modality":"CT"', b'"modality":7'), (b'"dice":0', b'"dice":-0')):
        evil = body.replace(old, new)
        path.write_bytes(evil + b"\t%08x\n" % zlib.crc32(evil))
        assert read_index(store.folder) is not None, "its checksum fits"
        assert said(Store(store.folder))[:3] == before[:3], "the facts themselves are read"
        assert all(isinstance(revision, Revision) for revision in store.cases())


def test_where_the_index_cannot_be_written_the_correction_is_saved(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    store = filled(tmp_path)

    def refused(*_: object, **__: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("ultralightunet.corrections.index._sealed", refused)
    assert save(store, 26) in store.cases()
    assert current_index(tmp_path) is None
    monkeypatch.undo()
    assert save(store, 27) in store.cases()
    is_true(store)


def test_a_new_class_makes_the_others_partial_at_once(tmp_path: Path) -> None:
    store = filled(tmp_path)
    image = scan(28)
    store.add(image, labels_on(image, classes=THREE), None)
    assert store.classes == THREE
    assert len(list((tmp_path / "derived").glob("*-ignore4.nii.gz"))) == 6
    is_true(store)
    save(store, 29)
    assert store.classes == THREE
    is_true(store)


def test_a_case_whose_labels_are_damaged_stays_left_out(tmp_path: Path) -> None:
    store = Store(tmp_path)
    damaged = save(store, 0, checked={0: [1]})
    (damaged.folder / "labels.nii.gz").write_bytes(b"damaged")
    shutil.rmtree(tmp_path / "derived")
    store.repair()
    save(store, 1)
    save(store, 2)
    assert damaged.case not in json.loads((tmp_path / "dataset.json").read_text())["dataset"]
    assert json.loads((tmp_path / "dataset.json").read_text())["numTraining"] == 2
    image = scan(0)
    mended_again = store.add(image, mended(labels_on(image), label=2), None)
    assert json.loads((tmp_path / "dataset.json").read_text())["dataset"][mended_again.case]["label"].endswith("0002/labels.nii.gz")


# ---- repair


def test_repair_removes_what_was_left_and_brings_all_that_is_derived_up_to_date(tmp_path: Path) -> None:
    store = filled(tmp_path)
    names = (".writing-0123456789ab", ".dataset.json.01234567.partial", "derived/.partial-01234567-1-01234567")
    for name in names[1:]:
        (tmp_path / name).write_bytes(b"half")
    (tmp_path / names[0] / "0001").mkdir(parents=True)
    (tmp_path / ".DS_Store").write_bytes(b"not ours")
    (tmp_path / "dataset.json").write_text("{")
    ledger = tmp_path / "ledger.jsonl"
    ledger.write_bytes(b"".join(ledger.read_bytes().splitlines(keepends=True)[:-1]))
    before = {path: path.read_bytes() for path in (tmp_path / "cases").rglob("*") if path.is_file()}
    assert {problem.kind for problem in store.check().problems} == {"leftover", "unlisted", "dataset"}
    assert sorted(path.relative_to(tmp_path).as_posix() for path in store.repair()) == sorted(names)
    assert [problem.where for problem in store.check().problems] == [".DS_Store"]
    assert {path: path.read_bytes() for path in before} == before
    is_true(store)


def test_a_store_that_is_none_cannot_be_repaired(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="found none at"):
        Store(tmp_path / "nothing").repair()
