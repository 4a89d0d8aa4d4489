"""What can go wrong, said so that a person can act: what was expected, what was found, what to do."""

from __future__ import annotations


class UltraLightError(Exception):
    """Base of every error that is meant to be read by a person; its text is one clear sentence."""


class InputError(UltraLightError):
    """The image, or what was asked of it, is at fault."""


class ModelError(UltraLightError):
    """The model folder or checkpoint is at fault."""


class OutputError(UltraLightError):
    """The result could not be written, or what was written does not read back the same."""


class TrainingError(UltraLightError):
    """A training cannot begin or go on."""
