"""A model learns from what was corrected, and its versions."""
