"""How the documentation site is built; `make docs` puts it into `build/site`.

The repository's own documents are its pages, where they stand: a link that holds in a checkout holds on the site, and nothing is said
twice. The pages of `docs/api` take what they say from docstrings, the one on the command line from its help.
"""

from __future__ import annotations

import sys
from pathlib import Path

from sphinx.application import Sphinx

HERE = Path(__file__).parent
ROOT = HERE.parent.parent
sys.path[:0] = [str(ROOT), str(HERE)]

import ultralightunet  # noqa: E402 - found only now

project = "UltraLight"
author = "The UltraLight contributors"
copyright = author
version = release = ultralightunet.__version__

root_doc = "README"
include_patterns = ["*.md", "docs/**.md", "benchmarks/RESULTS.md", "sample_data/README.md"]
exclude_patterns = [".*", "build", "dist", "output", "docs/site"]
"""Folders that are not looked into, `.venv` among them."""

extensions = ["command_line", "docstrings", "myst_parser", "sphinx.ext.autodoc", "sphinx.ext.napoleon"]
myst_heading_anchors = 4
highlight_language = "none"
smartquotes_action = "D"  # dashes; quotation marks stay as they are written

napoleon_custom_sections = [("Attributes", "params_style")]
autodoc_default_options = {"members": True, "member-order": "bysource"}
autodoc_typehints_format = "short"
autodoc_preserve_defaults = True
python_use_unqualified_type_names = True
python_display_short_literal_types = True
maximum_signature_line_length = 100
add_module_names = False
toc_object_entries_show_parents = "hide"

html_theme = "furo"
html_title = f"UltraLight {release}"
html_static_path = [str(HERE / "static")]
html_css_files = ["site.css"]
templates_path = [str(HERE / "templates")]
html_additional_pages = {"index": "to_start.html"}
html_show_sphinx = False
html_copy_source = False
html_last_updated_fmt = None

# Pages that others add to a folder which is listed whole need no entry; that there is none yet is no mistake.
suppress_warnings = ["toc.empty_glob"]


def add_contents(app: Sphinx, name: str, source: list[str]) -> None:
    """The table of contents at the end of the first page, where it stands on the site only."""
    if name == root_doc:
        source[0] += "\n" + (HERE / "contents.md").read_text(encoding="utf-8")


def setup(app: Sphinx) -> None:
    """Called by Sphinx."""
    app.connect("source-read", add_contents)
