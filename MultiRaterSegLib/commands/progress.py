"""What is being done, on standard error: a bar on a terminal, one line a step elsewhere."""

import sys

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from ..predictor import Progress as Callback
from .interruptible import Stop


class Steps:
    """`with Steps(stop) as steps`: name each step with `step(words)` as it begins."""

    def __init__(self, stop: Stop):
        self.stop, self.done, self.bar = stop, 0, None
        console = Console(stderr=True)
        if console.is_terminal:
            columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
            self.bar = Progress(*columns, console=console, transient=True)
            self.task = self.bar.add_task("", total=None)

    def __enter__(self) -> "Steps":
        if self.bar:
            self.bar.start()
            self.stop.close_display = self.bar.stop
        return self

    def __exit__(self, *_) -> None:
        if self.bar:
            self.bar.stop()

    def expect(self, count: int) -> None:
        """From here on, so many steps; the time left is judged by them."""
        self.done = 0
        if self.bar:
            self.bar.reset(self.task, total=count)

    def step(self, words: str) -> Callback:
        """Begins a step. The callback it returns takes the share done, and is False once the person wants to stop."""
        self.stop.check()
        words = words[:1].upper() + words[1:]
        if self.bar:
            self.bar.update(self.task, description=words.replace("[", r"\["), completed=self.done)
        else:
            print(words, file=sys.stderr, flush=True)
        begun, self.done = self.done, self.done + 1
        return lambda share: self._at(begun + share)

    def _at(self, completed: float) -> bool:
        if self.bar:
            self.bar.update(self.task, completed=completed)
        return not self.stop.requested
