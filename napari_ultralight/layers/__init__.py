"""Between napari's layers and the core."""
