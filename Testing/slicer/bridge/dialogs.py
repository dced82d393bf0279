"""Answers modal dialogs as a person would: waits until one is shown, reads it, and clicks the button with a given text."""

from collections import deque

from PySide6 import QtCore, QtWidgets


class Dialogs:
    """`texts`: what each dialog said that was shown. A dialog that nobody expected is closed and noted in `unexpected`."""

    def __init__(self):
        self.texts: list[str] = []
        self.unexpected: list[str] = []
        self._answers: deque[str] = deque()
        self._files: deque[str] = deque()
        self._seen = None
        self._timer = QtCore.QTimer()
        self._timer.setInterval(10)
        self._timer.timeout.connect(self._look)
        self._timer.start()
        self._picture = None

    def will_answer(self, *buttons: str) -> None:
        """The next dialogs get a click on the buttons with these texts, one each; '&' for shortcuts is ignored."""
        self._answers.extend(buttons)

    def will_choose_file(self, path) -> None:
        """The next question for a file or a folder gets this path; '' is Cancel."""
        self._files.append(str(path))

    def photograph(self, path) -> None:
        """Save a picture of the next dialog."""
        self._picture = str(path)

    def close(self) -> list[str]:
        """Stop watching; what went wrong, as sentences."""
        self._timer.stop()
        left = [f"No dialog appeared to answer with {answer!r}." for answer in self._answers]
        return left + [f"Nobody expected this dialog: {text}" for text in self.unexpected]

    def choose_file(self, *_, **__) -> tuple[str, str]:
        if not self._files:
            self.unexpected.append("a question for a file or folder")
            return "", ""
        return self._files.popleft(), ""

    def _look(self) -> None:
        dialog = QtWidgets.QApplication.activeModalWidget()
        if dialog is None or dialog is self._seen or isinstance(dialog, QtWidgets.QProgressDialog):
            return
        self._seen = dialog
        text = _text_of(dialog)
        self.texts.append(text)
        if self._picture:
            dialog.grab().save(self._picture)
            self._picture = None
        if not self._answers:
            self.unexpected.append(text)
            dialog.reject()
            return
        wanted = self._answers.popleft()
        buttons = {b.text.replace("&", ""): b for b in dialog.findChildren(QtWidgets.QAbstractButton)}
        found = [b for label, b in buttons.items() if label == wanted] or [
            b for label, b in buttons.items() if label.startswith(wanted)
        ]
        if not found:
            self.unexpected.append(f"{text} (it has the buttons {sorted(buttons)}, not {wanted!r})")
            dialog.reject()
            return
        found[0].click()


def _text_of(dialog: QtWidgets.QWidget) -> str:
    if isinstance(dialog, QtWidgets.QMessageBox):
        return " ".join(t for t in (dialog.text, dialog.informativeText) if t)
    return " ".join(label.text for label in dialog.findChildren(QtWidgets.QLabel) if label.text)
