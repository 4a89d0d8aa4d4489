"""What went wrong, for a person."""

from __future__ import annotations

from slicer.i18n import tr as _


class Problem(Exception):
    """One clear sentence: what was expected, what was found, what to do."""


def notice() -> str:
    """What everybody has to know who sees a label."""
    return _("Research use only. Not a medical device: check every result before you rely on it.")


def in_words_of_the_module(sentence: str) -> str:
    """A sentence of the core, which names options of the command line, with what they are called in the module."""
    words = {
        "fill them with --nan-fill V, e.g. 0": _("tick “Fill missing voxels with” under Options"),
        "--nan-fill": _("“Fill missing voxels with” under Options"),
        "--dicom-source": _("“DICOM series” above"),
        "or confirm (--confirm) that all of it is right": _("or tick “Right as it is”"),
        "or confirm (--confirm) that there is nothing to label": _("or tick “Right as it is”"),
        "add some with `ultralight corrections add`": _("save some with “Save correction”"),
        "`ultralight models` lists them": _("choose another in the list"),
    }
    for option, name in words.items():
        sentence = sentence.replace(option, name)
    return sentence[:1].upper() + sentence[1:]
