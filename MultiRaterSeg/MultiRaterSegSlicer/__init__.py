"""What MultiRaterSeg adds to 3D Slicer, split by what it touches: nodes, logic, and later the panel and its worker.

The name is long on purpose: Slicer installs every module's scripts into one flat folder.
"""
