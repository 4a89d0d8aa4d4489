"""A case is one reader's at a time, in the order of what is gained by it, and what is said of it stays said."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.worklist.lists import Clock, labels, listed, results, states
from ultralightunet.errors import InputError
from ultralightunet.worklist import Worklist, create_worklist


def test_a_case_is_handed_to_one_reader_who_gets_it_again_until_it_is_done(tmp_path: Path) -> None:
    worklist = listed(tmp_path, "a", "b")
    names = [handed.case.name for handed in map(worklist.next, ("Anna", "Ben", "Anna")) if handed.case]
    assert names == ["a", "b", "a"]
    assert worklist.next("Cleo").case is None
    assert worklist.check("a", "Anna").state == "checked"
    assert worklist.next("Anna").case is None
    assert states(worklist) == {"a": "checked", "b": "in work"}


def test_a_case_comes_back_when_the_time_is_over_and_late_work_still_counts(tmp_path: Path) -> None:
    clock = Clock()
    worklist = listed(tmp_path, "a", hours=2.0, clock=clock)
    assert worklist.next("Anna").case
    clock.now += 2 * 3600 - 1
    assert worklist.next("Ben").case is None
    clock.now += 1
    assert states(worklist) == {"a": "to do"}
    assert worklist.next("Ben").case
    case = worklist.check("a", "Anna")
    assert [(reading.reader, reading.state) for reading in case.readings] == [("Ben", "in work"), ("Anna", "checked")]
    assert case.state == "checked"


def test_a_reader_can_give_a_case_back_take_a_certain_one_and_undo_what_was_said(tmp_path: Path) -> None:
    worklist = listed(tmp_path, "a", "b")
    worklist.take("b", "Anna")
    with pytest.raises(InputError, match=r"expected a case that is free for Ben, found b in work by Anna; take another one, or wait"):
        worklist.take("b", "Ben")
    assert worklist.give_back("b", "Anna").state == "to do"
    assert worklist.reject("b", "Ben", "it\nmoved").reason == "it moved"
    assert states(worklist) == {"a": "to do", "b": "rejected"}
    with pytest.raises(InputError, match=r"found b rejected; take another one"):
        worklist.take("b", "Anna")
    assert worklist.give_back("b", "Anna").state == "to do"
    with pytest.raises(InputError, match=r"expected a case that Anna has in work or has checked, found b to do; there is nothing to undo"):
        worklist.give_back("b", "Anna")


def test_with_two_readers_wanted_each_reads_every_case_once(tmp_path: Path) -> None:
    worklist = listed(tmp_path, "a", readers=2)
    for reader in ("Anna", "Ben"):
        assert worklist.next(reader).case
    assert worklist.next("Cleo").case is None
    assert worklist.check("a", "Anna").state == "in work"
    assert worklist.next("Anna").case is None
    assert worklist.check("a", "Ben").state == "checked"


def test_the_most_doubted_case_comes_first_and_then_what_is_unlike_what_is_done(tmp_path: Path) -> None:
    out = results(
        tmp_path,
        {"sure": 0.99, "like": 0.6, "unlike": 0.7, "doubted": 0.5},
        voxels={"sure": 100, "like": 110, "unlike": 9000, "doubted": 100},
    )
    create_worklist(tmp_path / "list", out)
    worklist = Worklist(tmp_path / "list", clock=Clock())
    names = []
    while (case := worklist.next("Anna").case) is not None:
        names.append(case.name)
        worklist.check(case.name, "Anna")
    # By doubt alone `like` would be second; it is almost the one that is done.
    assert names == ["doubted", "unlike", "like", "sure"]


def test_what_no_model_has_labelled_stands_between_what_it_doubts_and_what_it_is_sure_of(tmp_path: Path) -> None:
    create_worklist(tmp_path / "list", results(tmp_path, {"failed": None, "sure": 0.9, "doubted": 0.6}))
    worklist = Worklist(tmp_path / "list", clock=Clock())
    assert [handed.case.name for handed in map(worklist.next, "ABC") if handed.case] == ["doubted", "failed", "sure"]


def test_a_readers_name_is_kept_as_a_hash_where_wished_and_is_found_again(tmp_path: Path) -> None:
    worklist = listed(tmp_path, "a", "b", hash_readers=True)
    assert worklist.next("Anna Müller").case
    worklist.check("a", " Anna  Mu\u0308ller ", note="clear")
    (reading,) = worklist.case("a").readings
    assert reading.reader.startswith("reader-")
    assert reading.state == "checked"
    for path in (tmp_path / "list").rglob("*"):
        assert path.is_dir() or b"ller" not in path.read_bytes()


@pytest.mark.parametrize("name", ["../Anna", "C:\\Anna", "", "  ", ".anna", "An\x00na", "A" * 61, "Anna\x1b[31m"])
def test_a_readers_name_that_is_a_path_or_none_is_refused(tmp_path: Path, name: str) -> None:
    worklist = listed(tmp_path, "a")
    with pytest.raises(InputError, match=r"expected a reader's name of at most 60 letters, .*; give a name, not a path"):
        worklist.next(name)
    assert not (tmp_path / "list/ledger.jsonl").exists()


def test_what_cannot_be_noted_is_refused_in_a_sentence(tmp_path: Path) -> None:
    worklist = listed(tmp_path, "a")
    with pytest.raises(InputError, match=r"expected a case of the worklist .*, found 'z'; `ultralight worklist list` names them"):
        worklist.check("z", "Anna")
    with pytest.raises(InputError, match=r"expected a reason why a is rejected, found none"):
        worklist.reject("a", "Anna", " ")
    with pytest.raises(InputError, match=r"expected a note of at most 1000 characters, found 1001; shorten it"):
        worklist.note("a", "x" * 1001)
    with pytest.raises(InputError, match=r"expected a confidence from 0 to 1, found nan"):
        worklist.label("a", labels(tmp_path / "l.nii.gz"), confidence=float("nan"))
    assert worklist.note("a", "look\tagain", reader="Anna").notes == ("Anna: look again",)
