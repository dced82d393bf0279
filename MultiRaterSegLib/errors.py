"""Errors that a person can act on: what was given, what was expected, what to do.

They are raised where something enters (a file, a request, a recipe, a checkpoint). Whoever shows them prints the
message alone; any other exception is a bug and keeps its traceback.
"""


class MultiRaterSegError(Exception):
    """Base of every error that is the input's fault. The message is complete: it needs no traceback."""


class GeometryError(MultiRaterSegError):
    """A volume, point or box that cannot be placed in space."""


class VolumeError(MultiRaterSegError):
    """A file or folder that is not a usable scan."""


class UnsupportedRequest(MultiRaterSegError):
    """A style, expert or prompt that the model cannot follow."""


class CheckpointError(MultiRaterSegError):
    """A model that is missing, damaged or made for something else."""


class RecipeError(MultiRaterSegError):
    """A training recipe with a wrong key or value."""


class DataError(MultiRaterSegError):
    """A training data set that is missing or malformed."""


class TextEncoderError(MultiRaterSegError):
    """A text encoder whose files are missing or do not fit."""


class OutOfMemory(MultiRaterSegError):
    """Memory that does not suffice even for the smallest batch."""


class WorkerError(MultiRaterSegError):
    """A worker process that ended, cannot start or hit a bug. log: its last words, for whoever looks into it."""

    def __init__(self, message: str, log: str = ""):
        super().__init__(message)
        self.log = log


class Cancelled(MultiRaterSegError):
    """The person asked to stop; nothing was written."""
