"""The documentation site builds without a warning, its links lead somewhere, and it needs nothing from a network."""

from __future__ import annotations

import re
import subprocess
import sys
import zlib
from collections.abc import Iterator
from dataclasses import dataclass, field
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urlsplit

import pytest
from public_names import NAMES

from ultralightunet.cli import parser

_LOADED = {("link", "href"), ("script", "src"), ("img", "src"), ("source", "src"), ("iframe", "src"), ("object", "data")}
"""What a browser fetches without being asked to."""


@dataclass
class Page(HTMLParser):
    """What a page links to, what it loads, and the anchors that it has."""

    path: Path
    links: list[str] = field(default_factory=list)
    loads: list[str] = field(default_factory=list)
    anchors: set[str] = field(default_factory=set)

    def __post_init__(self) -> None:
        super().__init__()
        self.feed(self.path.read_text(encoding="utf-8"))

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        for name, value in attrs:
            if name == "id" and value:
                self.anchors.add(value)
            elif (tag, name) in _LOADED and value:
                self.loads.append(value)
            elif name == "href" and value:
                self.links.append(value)


@pytest.fixture(scope="module")
def site(root: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Built as `make docs` does, from nothing."""
    folder = tmp_path_factory.mktemp("docs")
    command = [
        sys.executable,
        "-m",
        "sphinx",
        "-q",
        "-W",
        "--keep-going",
        "-c",
        "docs/site",
        "-d",
        str(folder / "known"),
        ".",
        str(folder / "site"),
    ]
    done = subprocess.run(command, cwd=root, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return folder / "site"


@pytest.fixture(scope="module")
def pages(site: Path) -> dict[Path, Page]:
    return {path: Page(path) for path in sorted(site.rglob("*.html"))}


def addresses(pages: dict[Path, Page]) -> Iterator[tuple[Page, str]]:
    yield from ((page, address) for page in pages.values() for address in (*page.links, *page.loads))


def test_every_link_within_the_site_leads_to_a_file_and_an_anchor_in_it(site: Path, pages: dict[Path, Page]) -> None:
    lost = []
    for page, address in addresses(pages):
        parts = urlsplit(address)
        if parts.scheme or parts.netloc:
            continue
        target = (page.path.parent / unquote(parts.path)).resolve() if parts.path else page.path
        is_there = target.is_file() and site in target.parents
        if not is_there or (parts.fragment and unquote(parts.fragment) not in pages[target].anchors):
            lost.append(f"{page.path.relative_to(site)} -> {address}")
    assert lost == []


def test_every_link_out_of_the_site_is_an_address_that_can_be_followed(site: Path, pages: dict[Path, Page]) -> None:
    out = {address for _, address in addresses(pages) if urlsplit(address).scheme or urlsplit(address).netloc}
    assert out
    assert [address for address in out if not re.fullmatch(r"https://[\w-]+(\.[\w-]+)+(/[^\s<>]*)?", address)] == []


def test_no_page_or_style_sheet_loads_anything_from_a_network(site: Path, pages: dict[Path, Page]) -> None:
    from_pages = [(page.path, address) for page in pages.values() for address in page.loads if urlsplit(address).netloc]
    loading = re.compile(r"url\(\s*['\"]?(?:https?:)?//|@import\s+['\"](?:https?:)?//")
    texts = [*site.rglob("*.css"), *pages]
    assert from_pages == []
    assert [path for path in texts if loading.search(path.read_text(encoding="utf-8"))] == []


def test_every_public_name_has_its_place_in_the_reference(site: Path) -> None:
    # An inventory is four lines of text and then compressed lines "name kind priority address title".
    *_, packed = (site / "objects.inv").read_bytes().split(b"\n", 4)
    listed = {line.split(" ", 1)[0] for line in zlib.decompress(packed).decode().splitlines()}
    assert [name for name in NAMES if name not in listed] == []


def test_every_command_has_its_help_on_the_page_of_the_command_line(pages: dict[Path, Page], site: Path) -> None:
    choices = next(action.choices for action in parser()._actions if action.choices)
    assert {f"ultralight-{name}" for name in choices} <= pages[site / "docs" / "api" / "command-line.html"].anchors


def test_the_site_opens_with_the_readme_and_holds_the_documents(pages: dict[Path, Page], site: Path, root: Path) -> None:
    assert 'url=README.html"' in (site / "index.html").read_text(encoding="utf-8")
    documents = [*root.glob("*.md"), *(root / "docs").rglob("*.md"), root / "benchmarks" / "RESULTS.md"]
    expected = {site / path.relative_to(root).with_suffix(".html") for path in documents if path.parent.name != "site"}
    assert len(expected) > 20
    assert expected <= set(pages)
