"""UltraLight in napari: a dock widget, readers, a writer and samples; `napari.yaml` beside this file says what is where."""
