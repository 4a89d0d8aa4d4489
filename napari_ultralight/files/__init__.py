"""Files and samples into napari, and labels out of it."""
