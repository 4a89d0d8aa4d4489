"""Keeping what was corrected: the store, what counts as checked, and exports."""
