"""`ultralight worklist`: a list from its making to the consensus of two readers."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from tests.command import Command, sentence
from tests.worklist.lists import image, labels
from ultralightunet.io import read_image, read_labels


@pytest.fixture
def made(tmp_path: Path, ultralight: Command) -> str:
    """A list of two images that two readers are to check."""
    for name in ("a", "b"):
        image(tmp_path / "images" / f"{name}.nii")
    folder = str(tmp_path / "list")
    outcome = ultralight("worklist", "create", folder, str(tmp_path / "images"), "--readers", "2", "--order", "listed")
    assert (outcome.code, outcome.out) == (0, f"2 cases, 0 of them labelled, in {folder}\n")
    return folder


def test_a_case_goes_from_hand_to_hand_and_ends_in_a_consensus(tmp_path: Path, ultralight: Command, made: str) -> None:
    for reader, last in (("Anna", 3), ("Ben", 4)):
        (event,) = ultralight("worklist", "next", made, "--reader", reader, "--json").events
        assert (event["name"], event["state"]) == ("a", "in work")
        assert Path(event["image"]).samefile(tmp_path / "images/a.nii")
        file = str(labels(tmp_path / f"{reader}.nii.gz", last=last))
        assert ultralight("worklist", "set", made, "a", "--reader", reader, "--state", "checked", "--labels", file).code == 0
    outcome = ultralight("worklist", "agreement", made, "-o", str(tmp_path / "out"), "--json")
    compared, written = outcome.events
    assert (outcome.code, compared["first"], compared["second"], compared["classes"][0]["label"]) == (0, "Anna", "Ben", 1)
    assert compared["classes"][0]["dice"] == pytest.approx(48 / 56)
    scan, found = read_image(tmp_path / "images/a.nii"), read_labels(written["labels"])
    assert Path(written["labels"]) == tmp_path / "out/a.nii.gz"
    np.testing.assert_allclose(found.affine, scan.affine, atol=1e-5)
    assert found.counts() == {1: 24}
    again = ultralight("worklist", "agreement", made, "-o", str(tmp_path / "out"))
    assert (again.code, again.err) == (
        1,
        f"ultralight: expected a new file for the consensus of a, found {tmp_path / 'out/a.nii.gz'}; name another folder\n",
    )
    assert "a                        Anna, Ben                    1  0.8571" in ultralight("worklist", "agreement", made, "a").out


def test_the_list_shows_what_became_of_each_case(ultralight: Command, made: str) -> None:
    ultralight("worklist", "set", made, "a", "--reader", "Anna", "--state", "rejected", "--reason", "it moved")
    ultralight("worklist", "set", made, "b", "--reader", "Anna", "--state", "in-work", "--note", "thick slices")
    assert ultralight("worklist", "list", made).out.splitlines() == [
        "rejected    -    a  (it moved)",
        "in work     -    b  (in work: Anna; Anna: thick slices)",
        "1 in work, 1 rejected",
    ]
    (event,) = ultralight("worklist", "list", made, "--state", "rejected", "--json").events
    assert (event["event"], event["name"], event["reason"]) == ("case", "a", "it moved")
    assert ultralight("worklist", "set", made, "a", "--reader", "Ben", "--state", "to-do").out.startswith("to do ")


def test_a_bad_case_is_told_of_and_the_next_one_comes(tmp_path: Path, ultralight: Command, made: str) -> None:
    (tmp_path / "images/a.nii").unlink()
    outcome = ultralight("worklist", "next", made, "--reader", "Anna")
    assert (outcome.code, outcome.out.splitlines()[0]) == (0, "b")
    assert outcome.err.startswith("ultralight: expected the image of a, found nothing at ")
    ultralight("worklist", "set", made, "b", "--reader", "Anna", "--state", "checked")
    assert ultralight("worklist", "next", made, "--reader", "Anna").out == "nothing is left for Anna that can be opened\n"


def test_one_case_that_cannot_be_compared_does_not_keep_the_others_from_it(tmp_path: Path, ultralight: Command, made: str) -> None:
    for case in "ab":
        for reader in ("Anna", "Ben"):
            file = str(labels(tmp_path / "l.nii.gz"))
            ultralight("worklist", "set", made, case, "--reader", reader, "--state", "checked", "--labels", file)
    events = ultralight("worklist", "list", made, "--json").events
    (Path(made) / events[0]["readings"][0]["labels"]).unlink()
    outcome = ultralight("worklist", "agreement", made, "--json")
    assert (outcome.code, [event["case"] for event in outcome.events]) == (1, ["b"])
    assert outcome.err.count("\n") == 1


@pytest.mark.parametrize(
    ("options", "told"),
    [
        ([], "expected --state or --note, found neither; say what became of a"),
        (["--state", "checked"], "expected --reader with --state checked, found none; say who reads"),
        (["--state", "labelled"], "expected --labels with --state labelled, found none; say which file the model has made"),
        (["--state", "checked", "--reader", "../x"], "found '../x'; give a name, not a path"),
        (["--note", "x", "--labels", "l.nii.gz"], "expected --labels with --state labelled or checked only"),
    ],
)
def test_what_does_not_go_together_is_refused(ultralight: Command, made: str, options: list[str], told: str) -> None:
    assert told in sentence(ultralight("worklist", "set", made, "a", *options))


def test_no_agreement_without_two_readers(ultralight: Command, made: str) -> None:
    assert "expected a case with the labels of two readers in " in sentence(ultralight("worklist", "agreement", made))
    assert "expected the labels of two readers of a, found 0" in sentence(ultralight("worklist", "agreement", made, "a"))
