"""The worker process as the person meets it: starting, ready, not installed, silent, gone; and what to press then."""

from collections.abc import Callable

from ..i18n import _
from .session import Session
from .state import Busy, Button, Message


class Engine:
    """Starts the worker when it is needed and turns its events into messages with a way out."""

    def __init__(self, session: Session, on_busy: Callable[[Busy | None], None], install: Callable[[], None]):
        self.session, self._on_busy, self._install = session, on_busy, install
        self._waiting: Callable[[], None] | None = None
        self._trouble: Message | None = None  # what was said of the worker last
        self.client.on_event = self._event

    @property
    def client(self):
        return self.session.logic.client

    @property
    def installed(self) -> bool:
        return not self.client.missing

    @property
    def starting(self) -> bool:
        """Somebody waits for the worker to become ready."""
        return self._waiting is not None

    @property
    def words(self) -> str:
        """One line for whoever wants to know what computes."""
        hello, client = self.client.hello, self.client
        if hello is None or client.state in ("crashed", "failed"):
            return client.message or _("The computing process is {state}.").format(state=client.state)
        return _("Computing on {device} (PyTorch {torch}).").format(device=hello.device, torch=hello.torch)

    def start(self) -> None:
        self.session.logic.start()

    def when_ready(self, action: Callable[[], None]) -> None:
        """Does it now, or once the worker runs; the newest wish counts."""
        if self.client.hello is not None and self.client.state in ("ready", "busy", "not responding"):
            action()
            return
        if self.client.state == "failed" and not self.installed:
            self._offer_installation()
            return
        self._waiting = action
        self._on_busy(Busy(_("Loading the model")))
        if self.client.state in ("crashed", "failed"):
            self.client.restart()
        else:
            self.start()
        self.session.changed()

    def forget(self) -> None:
        """Nobody waits any more."""
        if self._waiting is not None:
            self._waiting = None
            self._on_busy(None)
            self.session.changed()

    def restart(self) -> None:
        self.session.quiet()
        self.client.restart()
        self.session.changed()

    def _event(self, event) -> None:
        if event.kind in ("ready", "responding") and self.session.message is self._trouble:
            self.session.quiet()  # it is over, whoever started the worker again
        if event.kind == "ready":
            self._ready()
        elif event.kind == "failed" and not self.installed:
            waited = self.starting
            self.forget()
            if waited:
                self._offer_installation()
        elif event.kind in ("failed", "crashed", "not responding"):
            self.forget()
            restart = Button(_("Restart"), self.restart)
            self.session.say(event.message, "error", self.session.close_button(), restart, details=event.log)
            self._trouble = self.session.message
        self.session.changed()

    def _ready(self) -> None:
        waiting = self._waiting
        self.forget()
        if waiting is not None:
            waiting()

    def _offer_installation(self) -> None:
        text = _("MultiRaterSeg needs {package} to compute, which is not installed.").format(
            package=self.client.missing
        )
        self.session.say(text, "warning", self.session.close_button(), Button(_("Install…"), self._install))
