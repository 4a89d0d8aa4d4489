"""What `UltraLightSegmenter` is made of: MRML nodes on one side, a process that runs the core on the other.

The core (`ultralightunet`) is never imported into Slicer's own process: it works in a process beside it, so that Slicer neither waits nor
falls with it, and so that installing its packages needs no restart.
"""
