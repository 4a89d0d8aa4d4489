"""Pointing at one object: clicks, strokes, boxes and loops in the canvas, its mask as a preview, and into the labels."""
