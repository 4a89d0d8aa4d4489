"""Whether a case trains or is held out is drawn once."""

from __future__ import annotations

import json
from pathlib import Path

from tests.corrections.cases import labels_on, mended, save, scan
from ultralightunet.corrections import Store
from ultralightunet.corrections.roles import drawn_role, group_of


def test_all_images_of_a_patient_have_one_role(tmp_path: Path) -> None:
    store = Store(tmp_path)
    saved = [save(store, seed, patient_key=f" P{seed // 2} ") for seed in range(20)]
    for one, other in zip(saved[::2], saved[1::2], strict=True):
        assert (one.role, one.group) == (other.role, other.group)
    assert len({revision.group for revision in saved}) == 10


def test_about_a_fifth_is_held_out_and_another_store_draws_anew(tmp_path: Path) -> None:
    roles = []
    for name in "ab":
        store = Store(tmp_path / name)
        save(store)
        facts = json.loads((tmp_path / name / "store.json").read_text())
        salt = bytes.fromhex(facts["salt"])
        roles.append([drawn_role(salt, group_of(salt, patient_key=None, image_sha256=str(n)), facts["holdout_share"]) for n in range(1000)])
    assert all(120 < found.count("holdout") < 280 for found in roles)
    assert roles[0] != roles[1]


def test_a_revision_keeps_the_role_of_its_case_whatever_the_draw_would_be(tmp_path: Path) -> None:
    first = save(Store(tmp_path))
    facts = json.loads((tmp_path / "store.json").read_text())
    assert first.role == "train", "one correction is enough to learn from"
    (tmp_path / "store.json").write_text(json.dumps(facts | {"holdout_share": 1.0}))
    store = Store(tmp_path)
    image = scan()
    again = store.add(image, mended(labels_on(image), label=2), None, patient_key="now known")
    assert (again.number, again.role, again.group) == (2, first.role, first.group)
    assert save(store, 1).role == "holdout"
    assert [revision.case for revision in store.cases(first.role)] == [first.case]


def test_what_a_model_was_trained_on_is_never_held_out(tmp_path: Path) -> None:
    elsewhere = Store(tmp_path / "elsewhere")
    store = Store(tmp_path / "store")
    save(store, 99)
    facts = json.loads((tmp_path / "store" / "store.json").read_text())
    (tmp_path / "store" / "store.json").write_text(json.dumps(facts | {"holdout_share": 1.0}))
    store = Store(tmp_path / "store")
    seen = save(elsewhere, 1).image_sha256
    assert save(store, 1, seen_in_training={seen}, patient_key="A").role == "train"
    assert save(store, 2, patient_key="A").role == "train", "another image of that patient"
    assert save(store, 3, patient_key="B").role == "holdout"
