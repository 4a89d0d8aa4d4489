"""What went wrong, for a person."""

from __future__ import annotations


class Problem(Exception):
    """One clear sentence: what was expected, what was found, what to do."""


_WORDS_OF_THE_MODULE = {
    "fill them with --nan-fill V, e.g. 0": "tick “Fill missing voxels with” under Options",
    "--nan-fill": "“Fill missing voxels with” under Options",
    "or confirm (--confirm) that all of it is right": "or tick “Right as it is”",
    "or confirm (--confirm) that there is nothing to label": "or tick “Right as it is”",
    "add some with `ultralight corrections add`": "save some with “Save correction”",
    "`ultralight models` lists them": "choose another in the list",
}
"""The core's sentences name options of the command line; here is what they are called in the module."""


def in_words_of_the_module(sentence: str) -> str:
    """`sentence` with the command line's options replaced by the module's."""
    for option, name in _WORDS_OF_THE_MODULE.items():
        sentence = sentence.replace(option, name)
    return sentence[:1].upper() + sentence[1:]
