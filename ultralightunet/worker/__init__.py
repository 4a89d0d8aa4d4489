"""The warm process that works for a host which must stay responsive, 3D Slicer say; `server` tells how it is spoken to."""
