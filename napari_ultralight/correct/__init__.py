"""Correcting labels: the brush, the tools and the classes."""
