"""From a loaded image to labels on its own grid: `session` is what every host calls."""
