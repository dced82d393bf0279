"""Undo of results: what was done last, and how to take exactly that back."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager

DEPTH = 20


class History:
    """Actions that can be undone, newest last. Every change that a result makes leaves its reverse here.

    It lives as long as the window: a scene loaded from a file begins with nothing to undo.
    """

    def __init__(self):
        self._done: list[tuple[str, list[Callable[[], None]]]] = []
        self._open: list[Callable[[], None]] | None = None
        self._listeners: list[Callable[[], None]] = []

    @contextmanager
    def action(self, title: str) -> Iterator[None]:
        """What happens inside is one step, also when it consists of several. A step that fails is taken back at once."""
        if self._open is not None:
            yield
            return
        self._open = reverses = []
        try:
            yield
        except BaseException:
            self._open = None
            _take_back(reverses)
            raise
        self._open = None
        if reverses:
            self._done = [*self._done[1 - DEPTH :], (title, reverses)]
        self.tell()

    def on_undo(self, reverse: Callable[[], None]) -> None:
        """How to take back what the open action just did. Reverses run last first."""
        if self._open is not None:
            self._open.append(reverse)

    @property
    def title(self) -> str:
        """Of the step that undo would take back; "" when there is none."""
        return self._done[-1][0] if self._done else ""

    def undo(self) -> str:
        """Takes the last step back. Returns its title, "" when there was none."""
        if not self._done:
            return ""
        title, reverses = self._done.pop()
        _take_back(reverses)
        self.tell()
        return title

    def observe(self, callback: Callable[[], None]) -> Callable[[], None]:
        """Calls back after every step and undo, until the function that is returned is called."""
        self._listeners.append(callback)
        return lambda: self._listeners.remove(callback) if callback in self._listeners else None

    def tell(self) -> None:
        for listener in tuple(self._listeners):
            listener()


def _take_back(reverses: list[Callable[[], None]]) -> None:
    while reverses:
        reverses.pop()()
