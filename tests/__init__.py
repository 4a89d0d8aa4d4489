"""Tests, one file for each thing that must hold."""
