"""Installing what the worker needs, through Slicer's own means."""
