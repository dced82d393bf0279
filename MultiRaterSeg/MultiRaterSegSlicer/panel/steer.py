"""The fourth step: a slider between two styles, or a sentence; first one slice of it, then the whole lesion."""

from MultiRaterSegLib.agreement import volume_range
from MultiRaterSegLib.asked_style import AskedStyle, name_of
from MultiRaterSegLib.errors import MultiRaterSegError

from ..i18n import _
from .jobs import Job, Jobs
from .session import Session
from .state import Choice, SteerState
from .suitability import Suitability
from .views import center_of, point_on_slice
from .words import SUGGESTIONS, summary_words, volume_words


class Steer:
    """What is being tried out; nothing is kept until the person says so."""

    def __init__(self, session: Session, jobs: Jobs, suitability: Suitability):
        self.session, self._jobs, self._suitability = session, jobs, suitability
        self._wanted: AskedStyle = None  # of the slice preview
        self._slice_task = None
        self._whole: Job | None = None
        self._whole_shown = False
        self._understood = self._problem = self._preview_words = ""

    def forget(self) -> None:
        """The preview and all that was said about it, without touching the scene."""
        self._wanted = self._slice_task = self._whole = None
        self._whole_shown = False
        self._understood = self._problem = self._preview_words = ""

    def choose(self, first: str, second: str) -> None:
        """The ends of the slider; the preview of the former ones goes."""
        parameters = self.session.parameters
        parameters.slider_first, parameters.slider_second = first, second
        self.discard()

    def slide(self, position: float) -> None:
        """The slider moved, 0..1: the slice in view follows, where the model is quick enough."""
        self.session.parameters.slider_position = position
        self._stop_whole()
        self._understood = self._problem = ""
        if self._can_follow:
            self._show_slice(self._between())
        self.session.changed()

    def rest(self) -> None:
        """The slider rests: the whole lesion."""
        lesion = self.session.lesion
        if lesion is None or self._model is None:
            return

        def show() -> None:
            if not self._is_quick:
                self._show_slice(self._between())
            self._show_whole(self._between())

        self._suitability.then(lesion, show)

    def read(self, sentence: str) -> None:
        """How the sentence would be understood; nothing is computed."""
        self._understood = self._problem = ""
        if sentence.strip() and self._model is not None:
            self.session.logic.understand(sentence, self._model, done=self._was_read, failed=self.session.fail)
        self.session.changed()

    def say(self, sentence: str) -> None:
        """The outline that the sentence asks for, as a preview; a sentence that cannot be followed says why."""
        sentence = sentence.strip()
        self.session.parameters.prompt = sentence
        if not sentence:
            self._problem = _("Type what you want, or choose a suggestion.")
            self.session.changed()
            return

        def show() -> None:
            self._stop_whole()
            self._show_slice(sentence)
            self._show_whole(sentence)

        def answer(understood) -> None:
            self._was_read(understood)
            if not understood.error and self.session.lesion is not None:
                self.session.parameters.remember_prompt(sentence)
                self._suitability.then(self.session.lesion, show)

        self.session.logic.understand(sentence, self._model, done=answer, failed=self.session.fail)

    def keep(self) -> None:
        """The preview becomes a segment of the lesion."""
        try:
            self.session.preview.keep(self.session.scene_model)
        except MultiRaterSegError as error:
            self.session.fail(error)
        self._understood = self._problem = self._preview_words = ""
        self.session.changed()

    def discard(self) -> None:
        self._stop_whole()
        self._wanted = None
        if self.session.preview is not None:
            self.session.preview.clear()
        self._understood = self._problem = self._preview_words = ""
        self.session.changed()

    @property
    def state(self) -> SteerState:
        parameters, preview = self.session.parameters, self.session.preview
        styles = self._styles()
        keys = [style.key for style in styles]
        first = parameters.slider_first if parameters.slider_first in keys else (keys[0] if keys else "")
        can_say = self._model is None or self._model.follows_prompts
        last = [key for key in self._expert_names() if key in keys][-1:] or keys[-1:] or [""]
        return SteerState(
            styles,
            len(styles) > 1,
            first,
            parameters.slider_second if parameters.slider_second in keys else last[0],
            parameters.slider_position,
            parameters.prompt,
            can_say,
            _("Or say it: include the ground-glass halo") if can_say else _("This model does not follow sentences."),
            (*parameters.prompt_history, *(s for s in SUGGESTIONS if s not in parameters.prompt_history)),
            self._understood,
            self._problem,
            self._preview_words,
            preview is not None and preview.can_keep,
            preview is not None and preview.visible,
        )

    @property
    def _can_follow(self) -> bool:
        """Whether slices are shown while the slider moves; nothing is asked meanwhile."""
        lesion = self.session.lesion
        if lesion is None or self._model is None or self._suitability.warning(lesion):
            return False
        return self._is_quick

    @property
    def _is_quick(self) -> bool:
        return self.session.logic.previews_while_dragging(self._model, self.session.knobs)

    @property
    def _model(self):
        return self.session.model

    def _expert_names(self) -> tuple[str, ...]:
        return tuple(expert.name for expert in self._model.experts) if self._model else ()

    def _styles(self) -> tuple[Choice, ...]:
        """Reader styles, then sentences of this lesion and earlier ones."""
        if self._model is None:
            return ()
        experts = [Choice(expert.name, expert.title) for expert in self._model.experts]
        if not self._model.follows_prompts:
            return tuple(experts)
        sentences = dict.fromkeys(self.session.parameters.prompt_history)
        return (*experts, *(Choice(text, f"“{text}”") for text in sentences))

    def _between(self) -> AskedStyle:
        state = self.state
        return (state.first, state.second, round(state.position, 2))

    def _show_slice(self, style: AskedStyle) -> None:
        """Asks for the slice in view. One request is under way at a time; of those that come meanwhile, the last."""
        self._wanted = style
        if self._slice_task is None or self._slice_task.finished:
            self._next_slice()

    def _next_slice(self) -> None:
        style, self._wanted = self._wanted, None
        lesion = self.session.lesion
        if style is None or lesion is None:
            return
        try:
            remote = self.session.remote(lesion, self._model, self.session.knobs)
        except MultiRaterSegError as error:
            self.session.fail(error)
            return
        index = remote.slice_at(point_on_slice(self.session.scene, center_of(lesion), remote))
        if index is None:
            index = remote.slice_at(center_of(lesion))
        self._slice_task = remote.preview(
            style, index, done=lambda preview: self._slice_came(lesion, preview), failed=self.session.fail
        )

    def _slice_came(self, lesion, preview) -> None:
        self._slice_task = None
        if self.session.lesion != lesion:
            return
        if self._whole_shown:
            return
        self.session.preview.show_mask(preview.mask, preview.grid)
        words = _("This slice in {seconds:.2f} s.").format(seconds=preview.round_trip_s)
        if not self._is_quick:
            words += " " + _("It follows when you let go.")
        self._preview_words = words
        self._next_slice()
        self.session.changed()

    def _show_whole(self, style: AskedStyle) -> None:
        self._stop_whole()
        lesion = self.session.lesion
        if lesion is None:
            return

        def deliver(prediction) -> None:
            self._whole = None
            if self.session.lesion == lesion:
                self._whole_shown = True
                self.session.preview.show(job.name, prediction)
                self._preview_words = _("Preview (not kept): {volume} mL").format(
                    volume=volume_words(volume_range(prediction.volumes_ml), "{median}")
                )

        title = _("Preview of {name}").format(name=name_of(style))
        job = self._whole = Job(lesion, style, title, self._model, self.session.knobs, deliver)
        self._jobs.ask(job)

    def _stop_whole(self) -> None:
        self._whole_shown = False
        if self._whole is not None:
            self._jobs.drop(self._whole)
            self._whole = None

    def _was_read(self, understood) -> None:
        self._understood = self._problem = ""
        if understood.summary:
            self._understood = _("Understood as: {summary}.").format(summary=summary_words(understood.summary))
        unknown = understood.not_understood
        problems = [note for note in understood.notes if not any(word in note for word in unknown)]
        if unknown:
            problems.append(_("Not understood: {words}.").format(words=", ".join(unknown)))
        elif understood.error:
            problems.extend([_("Not understood.")] if understood.suggestions else [])
            problems.append(understood.error)
        if (unknown or understood.error) and understood.suggestions:
            problems.append(_("Try: {tips}.").format(tips=", ".join(understood.suggestions)))
        self._problem = " ".join(problems)
        self.session.changed()
