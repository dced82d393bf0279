"""Slicer's side of the worker process, the only place where models run. Its other side is MultiRaterSegLib/worker."""
