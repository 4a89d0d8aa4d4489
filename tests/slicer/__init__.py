"""Tests of the module for 3D Slicer, on Slicer's own MRML classes (PyPI slicer-core)."""
