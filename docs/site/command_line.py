"""The directive `command-line`: a section for each command, with the help that it prints."""

from __future__ import annotations

import argparse
import os
from collections.abc import Iterator

from docutils import nodes
from sphinx.application import Sphinx
from sphinx.util.docutils import SphinxDirective

from ultralightunet.cli import parser

WIDTH = 96
"""Characters a line, as many as a page has room for."""


def commands(of: argparse.ArgumentParser) -> Iterator[argparse.ArgumentParser]:
    """The parsers of the commands of a parser, in its order."""
    for action in of._actions:
        if isinstance(action, argparse._SubParsersAction):
            yield from action.choices.values()


def help_of(command: argparse.ArgumentParser) -> str:
    """What `--help` prints, whatever the terminal's width."""
    before = os.environ.get("COLUMNS")
    os.environ["COLUMNS"] = str(WIDTH)
    try:
        return command.format_help().rstrip()
    finally:
        os.environ.pop("COLUMNS")
        if before is not None:
            os.environ["COLUMNS"] = before


class CommandLine(SphinxDirective):
    """The whole command line."""

    def run(self) -> list[nodes.Node]:
        """Called by Sphinx."""
        top = parser()
        return [self._help(top), *(self._section(command) for command in commands(top))]

    def _section(self, command: argparse.ArgumentParser) -> nodes.section:
        section = nodes.section(ids=[nodes.make_id(command.prog)], names=[command.prog])
        section += nodes.title(command.prog, command.prog)
        section += self._help(command)
        section += [self._section(further) for further in commands(command)]
        return section

    def _help(self, command: argparse.ArgumentParser) -> nodes.literal_block:
        text = help_of(command)
        return nodes.literal_block(text, text, language="none")


def setup(app: Sphinx) -> dict[str, bool]:
    """Called by Sphinx."""
    app.add_directive("command-line", CommandLine)
    return {"parallel_read_safe": True}
