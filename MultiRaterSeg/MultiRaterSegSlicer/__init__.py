"""What MultiRaterSeg adds to 3D Slicer: scene (nodes), worker (who computes), panel, export, install; logic for scripts.

The name is long on purpose: Slicer installs every module's scripts into one flat folder.
"""
