"""Keeps the C++ readers from printing: a person should see our one sentence, not a page of ITK."""

import logging
import os
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager

log = logging.getLogger(__name__)
_one_at_a_time = threading.RLock()  # file descriptor 2 belongs to the whole process


@contextmanager
def quiet() -> Iterator[None]:
    """While open, what native code writes to standard error goes to this module's debug log instead.

    Python's own sys.stderr shares the descriptor, so keep the block to the native call. A process without standard
    error (a windowed program) has nothing to keep quiet.
    """
    with _one_at_a_time:
        try:
            standard_error = os.dup(2)
        except OSError:
            yield
            return
        with tempfile.TemporaryFile() as caught:
            os.dup2(caught.fileno(), 2)
            try:
                yield
            finally:
                os.dup2(standard_error, 2)
                os.close(standard_error)
                caught.seek(0)
                if text := caught.read().decode(errors="replace").strip():
                    log.debug(text)
