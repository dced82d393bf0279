"""A process that keeps models and encoded lesions loaded, for a window that must never freeze.

Start it with `python -m MultiRaterSegLib.worker`; docs/slicer_worker.md describes what travels on its standard input
and output. `protocol` and `model_info` are shared by both ends and need no torch; the rest runs in the worker alone.
"""
