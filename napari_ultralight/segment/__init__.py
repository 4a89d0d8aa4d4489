"""From an image to labels: the model, the part of the image, the options, and Segment."""
