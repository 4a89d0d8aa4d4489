"""The report shows every case, whatever it is called, loads nothing, and a person rates in it with the keyboard."""

from __future__ import annotations

import base64
import hashlib
import io
import os
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tests.cohort.browser import Browser, chromium
from tests.cohort.scans import run, scans, table
from tests.waiting import until
from ultralightunet.cohort import CaseRecord, ClassVolume, Rating, Recipe, open_place, plan_cohort, read_ratings, write_report
from ultralightunet.cohort.pictures import picture_of
from ultralightunet.cohort.statistics import oddities, robust_z
from ultralightunet.cohort.table import write_table
from ultralightunet.cohort.warm_process import WarmProcess
from ultralightunet.errors import InputError
from ultralightunet.models import LabelClass, Model
from ultralightunet.volume import Segmentation, Volume

ODD = ("<script>document.title='run'</script>", "quo\"te'", "über & co")


@pytest.fixture(scope="module")
def cohort(tmp_path_factory: pytest.TempPathFactory, model: Model, process: WarmProcess) -> Path:
    """A cohort with odd names, one damaged scan, and its report."""
    folder = tmp_path_factory.mktemp("cohort")
    root, out = scans(folder / "in", "a", "b", "c"), folder / "out"
    scans(root, *ODD)
    (root / "damaged.nii").write_bytes(b"<b>no image</b>")
    run(root, out, model, process)
    recipe = Recipe.of(model, threads=1)
    plan = plan_cohort(root, model, output=out)
    return write_report(plan, open_place(out, recipe), recipe, ratings={"a": Rating("to fix", 'the "left" <side>')})


@dataclass
class Page(HTMLParser):
    """What a browser without JavaScript would make of a page."""

    tags: list[str] = field(default_factory=list)
    rows: list[dict[str, str | None]] = field(default_factory=list)
    addresses: list[str] = field(default_factory=list)
    scripts: list[str] = field(default_factory=list)
    is_script: bool = False

    def __post_init__(self) -> None:
        super().__init__()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.is_script = tag == "script"
        if tag == "tr" and "data-case" in dict(attrs):
            self.rows.append(dict(attrs))
        self.addresses += [value for name, value in attrs if name in ("src", "href") and value]

    def handle_endtag(self, tag: str) -> None:
        self.is_script = False

    def handle_data(self, data: str) -> None:
        if self.is_script:
            self.scripts.append(data)


@pytest.fixture(scope="module")
def page(cohort: Path) -> Page:
    found = Page()
    found.feed(cohort.read_text(encoding="utf-8"))
    return found


def test_every_case_is_a_row_the_doubtful_ones_first(page: Page) -> None:
    assert page.rows[0]["data-case"] == "damaged"
    assert {row["data-case"]: row["data-state"] for row in page.rows} == {
        **dict.fromkeys(("a", "b", "c", *ODD), "done"),
        "damaged": "failed",
    }


def test_no_name_becomes_markup_and_nothing_is_loaded(page: Page, cohort: Path) -> None:
    assert page.tags.count("script") == 1
    assert "b" in page.tags  # our own
    assert "<b>no image" not in cohort.read_text(encoding="utf-8")
    assert len(page.addresses) == 6
    assert all(address.startswith("data:image/webp;base64,") for address in page.addresses)


def test_only_our_own_script_may_run(page: Page, cohort: Path) -> None:
    allowed = re.search(r"script-src 'sha256-([^']+)'", cohort.read_text(encoding="utf-8"))
    assert allowed is not None
    assert base64.b64decode(allowed[1]) == hashlib.sha256("".join(page.scripts).encode()).digest()


def test_a_report_without_a_single_label_is_one_too(tmp_path: Path, model: Model) -> None:
    root, recipe = scans(tmp_path / "in", "a"), Recipe.of(model)
    path = write_report(plan_cohort(root, model, output=tmp_path / "out"), open_place(tmp_path / "out", recipe), recipe)
    assert 'data-state="waiting"' in path.read_text(encoding="utf-8")
    assert [entry.name for entry in (tmp_path / "out").iterdir() if entry.name.startswith(".partial")] == []


def test_labels_that_were_corrected_have_another_picture(tmp_path: Path, model: Model, process: WarmProcess) -> None:
    root, out, recipe = scans(tmp_path / "in", "a"), tmp_path / "out", Recipe.of(model, threads=1)
    run(root, out, model, process)
    before = (out / "pictures" / "a.webp").read_bytes()
    image = Volume(np.zeros((20, 26, 30), np.uint8))
    Segmentation(image.array, image.affine).save(out / "labels" / "a.nii.gz")
    os.utime(out / "labels" / "a.nii.gz", (2**32, 2**32))
    write_report(plan_cohort(root, model, output=out), open_place(out, recipe), recipe)
    assert (out / "pictures" / "a.webp").read_bytes() != before


# ---- pictures


def colours(packed: bytes) -> np.ndarray:
    return np.asarray(Image.open(io.BytesIO(packed)).convert("RGB")).astype(int)


def test_the_patient_lies_as_radiologists_look_at_slices() -> None:
    # Grey head; a red box in front, above and on the patient's left.
    labels = np.zeros((40, 40, 40), np.uint8)
    labels[28:36, 28:36, 4:12] = 1
    affine = np.diag((-1.0, 1.0, 1.0, 1.0))  # i runs to the left
    image = Volume(np.full(labels.shape, 100, np.uint8) + (np.indices(labels.shape).sum(0) % 9).astype(np.uint8), affine)
    for flip in (False, True):
        if flip:
            image = Volume(image.array[::-1, :, ::-1], affine @ np.array([[-1, 0, 0, 39], [0, 1, 0, 0], [0, 0, -1, 39], [0, 0, 0, 1.0]]))
            labels = labels[::-1, :, ::-1]
        found = Segmentation(labels, image.affine, (LabelClass(0, "background"), LabelClass(1, "box", (255, 0, 0))))
        shown = colours(picture_of(image, found))
        assert shown.shape == (320, 3 * 320 + 8, 3)
        red = (shown[..., 0] > 200) & (shown[..., 1] < 120)
        axial, coronal, sagittal = red[:, :320], red[:, 324:644], red[:, 648:]
        # i from 4 to 12 runs to the left, so it lies near the patient's right, at the left of the picture; j is in front, k above.
        for plane, (rows, columns) in zip(
            (axial, coronal, sagittal), (((32, 96), (32, 96)), ((32, 96), (32, 96)), ((32, 96), (32, 96))), strict=True
        ):
            where = np.argwhere(plane)
            assert np.allclose(where.min(0), (rows[0], columns[0]), atol=4)
            assert np.allclose(where.max(0), (rows[1], columns[1]), atol=4)


def test_a_colour_picture_is_shown_as_it_is() -> None:
    image = Volume(np.full((20, 40, 3), (200, 40, 10), np.uint8), channels=3, has_spacing=False)
    shown = colours(picture_of(image, Segmentation(np.zeros((20, 40), np.uint8), np.eye(4))))
    assert shown.shape == (160, 320, 3)


# ---- outliers


def records(*millilitres: float) -> list[CaseRecord]:
    return [CaseRecord(f"{n}", "done", "", volumes=(ClassVolume(1, "brain", 1, ml),)) for n, ml in enumerate(millilitres)]


def test_what_is_far_from_the_others_is_odd_however_many_of_such_there_are() -> None:
    usual = [1400.0 + 10 * n for n in range(10)]
    found = oddities(records(*usual, 3000.0, 200.0))
    assert max(found, key=lambda name: found[name].z) == "10"
    assert min(found, key=lambda name: found[name].z) == "11"
    assert sum(abs(entry.z) >= 3.5 for entry in found.values()) == 2
    assert oddities(records(1400.0, 1410.0, 9000.0)) == {}


def test_a_robust_z_is_a_z_where_all_is_normal() -> None:
    values = np.random.default_rng(0).normal(50, 7, 20000)
    assert np.allclose(robust_z(list(values)), (values - 50) / 7, atol=0.15)
    assert robust_z([3.0, 3.0, 3.0]) == [0.0, 0.0, 0.0]
    assert robust_z([1.0] * 9 + [2.0])[-1] > 3.5


def test_the_table_tells_how_odd_each_case_is(tmp_path: Path, model: Model) -> None:
    root = tmp_path / "in"
    root.mkdir()
    for n in range(9):
        (root / f"{n}.nii").touch()
    place, plan = open_place(tmp_path / "out", Recipe.of(model)), plan_cohort(root, model, output=tmp_path / "out")
    for case, record in zip(plan.cases, records(*(1400.0 + n for n in range(8)), 3000.0), strict=True):
        place.write(case, record)
    rows = table(write_table(place, plan.cases))
    assert float(rows["8"]["outlier"]) > 100
    assert rows["8"]["outlier_of"] == "brain"
    assert max(abs(float(rows[f"{n}"]["outlier"])) for n in range(8)) < 3.5


# ---- ratings


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("case\tnote\n", "columns case and rating, found case, note"),
        ("case\trating\na\tso-so\n", "found 'so-so' for a"),
        ("", "found nothing"),
    ],
)
def test_a_table_that_holds_no_ratings_is_refused(tmp_path: Path, text: str, said: str) -> None:
    (tmp_path / "ratings.tsv").write_text(text)
    with pytest.raises(InputError, match=said):
        read_ratings(tmp_path / "ratings.tsv")
    with pytest.raises(InputError, match="expected a table of ratings"):
        read_ratings(tmp_path / "none.tsv")


# ---- in a browser


@pytest.fixture
def browser(tmp_path: Path) -> Iterator[Browser]:
    with chromium(tmp_path / "profile") as found:
        yield found


def shown(browser: Browser) -> list[str]:
    names: list[str] = browser.run("rows.filter((row) => !row.hidden).map((row) => row.dataset.case)")
    return names


@pytest.mark.slow
def test_a_person_rates_with_keys_and_downloads_the_table(cohort: Path, browser: Browser, tmp_path: Path) -> None:
    browser.open(cohort)
    assert browser.run("document.title") == "in: cohort"
    assert browser.run("[...document.images].every((image) => image.complete || image.loading === 'lazy')")
    first, second, third = shown(browser)[:3]
    browser.press("j", "g", "b", "Enter")
    until(lambda: browser.run("large.open"))
    assert browser.run("large.querySelector('h2').textContent").startswith(third)
    browser.press("n")
    browser.press(*"fog")
    browser.press("Escape", "f", "Escape")
    said = {first: Rating("good"), second: Rating("bad"), third: Rating("to fix", "fog"), "a": Rating("to fix", 'the "left" <side>')}
    if "a" in (first, second, third):
        said["a"] = Rating(said["a"].rating, 'the "left" <side>fog' if third == "a" else 'the "left" <side>')
    browser.send("Browser.setDownloadBehavior", behavior="allow", downloadPath=str(tmp_path))
    browser.run("control('download').click()")
    until((tmp_path / "ratings.tsv").exists)
    assert {name: rating for name, rating in read_ratings(tmp_path / "ratings.tsv").items() if name in said} == said
    browser.open(cohort)
    assert browser.run("rows.filter((row) => saidOf(row).rating).length") == len(said)
    assert browser.complaints() == []


@pytest.mark.slow
def test_rows_are_filtered_and_sorted(cohort: Path, browser: Browser) -> None:
    browser.open(cohort)

    def choose(control: str, value: str) -> list[str]:
        browser.run(f"control({control!r}).value = {value!r}; control({control!r}).dispatchEvent(new Event('input'))")
        return shown(browser)

    assert choose("state", "failed") == ["damaged"]
    assert len(choose("state", "done")) == 6
    assert choose("name", "ÜBER") == ["über & co"]
    choose("name", "")
    assert choose("rated", "to fix") == ["a"]
    choose("rated", "")
    volumes: list[float] = sorted(browser.run("rows.filter((row) => !row.hidden).map(volumeOf)"))
    assert len(choose("least", str(volumes[3]))) == 3
    choose("least", "")
    browser.run("document.querySelector('th[data-sort=volume] button').click()")
    assert browser.run("[...body.rows].filter((row) => !row.hidden).map(volumeOf)") == volumes
    browser.run("document.querySelector('th[data-sort=volume] button').click()")
    assert browser.run("[...body.rows].filter((row) => !row.hidden).map(volumeOf)") == volumes[::-1]
    assert browser.complaints() == []


@pytest.mark.slow
def test_without_scripts_it_is_a_plain_table(cohort: Path, tmp_path: Path) -> None:
    with chromium(tmp_path / "profile", scripts=False) as browser:
        browser.send("Page.navigate", url=cohort.resolve().as_uri())

        def text() -> str:
            tree = browser.send("DOMSnapshot.captureSnapshot", computedStyles=[])
            return " ".join(tree["strings"])

        until(lambda: "damaged" in text())
        assert all(name in text() for name in ODD)
        assert browser.complaints() == []
