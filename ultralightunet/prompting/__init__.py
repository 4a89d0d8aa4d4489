"""From a click, a stroke, a box or a loop to the mask of one object: see `PromptSession`."""

from .merging import into_labels
from .prompts import Box, Lasso, Point, Prompt, Stroke
from .session import PromptSession

__all__ = ["Box", "Lasso", "Point", "Prompt", "PromptSession", "Stroke", "into_labels"]
