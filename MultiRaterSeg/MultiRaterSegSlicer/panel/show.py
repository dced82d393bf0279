"""What is to be seen: the scene, the settings and the worker as one PanelState."""

from collections.abc import Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING

from MultiRaterSegLib.segments import CONSENSUS_COLOR, expert_colors

from ..i18n import _
from ..scene.tables import Row
from .facts import Facts
from .state import Button, Choice, Message, PanelState, Preference, Steps, StyleRow
from .words import number_words, styles_words, volume_words

if TYPE_CHECKING:
    from .presenter import Panel


def state_of(panel: "Panel") -> PanelState:
    session = panel.session
    parameters, lesion, model = session.parameters, session.lesion, session.model
    known = session.lesions.all(session.volume) if session.volume is not None else []
    facts = Facts({}) if session.hidden else panel.facts
    return PanelState(
        message=session.message or _blind_message(panel),
        installed=panel.engine.installed,
        placing=panel.places.placing,
        has_volume=session.volume is not None,
        has_result=bool(panel.facts.rows),
        can_compute=lesion is not None,
        busy=panel.jobs.busy or panel.engine.starting,
        models=_model_choices(session.models),
        model=model.name if model else "",
        model_note=_model_note(panel),
        lesions=tuple(Choice(lesion.label, _lesion_title(lesion)) for lesion in known),
        lesion=lesion.label if lesion else "",
        samples=parameters.samples,
        compute_on_place=parameters.compute_on_click,
        consensus=_consensus_words(facts, lesion),
        warnings=facts.warnings,
        map_on=parameters.map_on,
        bands_shown=lesion is not None and lesion.visible("bands"),
        styles_note=styles_words(model.experts) if model else "",
        styles_left=model is None or bool(panel.facts.styles_left(model, session.knobs)),
        rows=_rows(panel, facts),
        order_note=facts.order_note,
        spots=facts.spots,
        has_table=lesion is not None and lesion.numbers_node is not None and not session.hidden,
        steer=panel.steer.state,
        contours=facts.contours,
        review=facts.reviews,
        undo=session.lesions.undo_title,
        steps=_steps(session),
        preference=_preference(session),
        blind=parameters.blind_review,
        hidden=session.hidden,
        engine=panel.engine.words,
        history=tuple(parameters.prompt_history),
    )


def _blind_message(panel: "Panel") -> Message | None:
    if not panel.session.hidden or not panel.facts.rows:
        return None
    text = _("Blind review: the outlines of {label} are hidden. Draw your own, then reveal them.")
    label = panel.session.lesion.label
    return Message("info", text.format(label=label), (Button(_("Reveal"), panel.reveal),))


def _model_choices(models) -> tuple[Choice, ...]:
    """Method and what it was trained on, the model's own name where that is not enough to tell it from the others; grey
    where it cannot follow sentences, as the field for them will be."""
    titles = [_title((model.title or model.name, model.trained_for)) for model in models]
    return tuple(
        Choice(
            model.name,
            title if titles.count(title) == 1 else _title((model.name, model.title, model.trained_for)),
            _title((model.name, _("trained on {what}").format(what=model.trained_for) if model.trained_for else "")),
            grey=not model.follows_prompts,
        )
        for model, title in zip(models, titles)
    )


def _title(parts: Sequence[str]) -> str:
    return " · ".join(part for part in parts if part)


def _model_note(panel: "Panel") -> str:
    session, model = panel.session, panel.session.model
    if model is None:
        return panel.engine.words if panel.engine.installed else ""
    if model.follows_prompts:
        prompts = ""
    elif model.experts:
        prompts = _("This model does not follow sentences.")
    else:
        prompts = _("This model shows the consensus only: it has no reader styles and does not follow sentences.")
    chosen = session.parameters.model
    missing = "" if chosen in ("", model.name) else _("'{name}' is not installed here.").format(name=chosen)
    return " ".join(part for part in (missing, prompts) if part)


def _steps(session) -> Steps | None:
    if session.knobs.steps is None:
        return None
    tip = _("Network evaluations for each sample. Fewer are faster; this model's own number is {count}.")
    return Steps(session.knobs.steps, session.model.most_steps, tip.format(count=session.model.knobs.steps))


def _preference(session) -> Preference | None:
    if session.knobs.preference is None:
        return None
    tip = _("0: draws as before the model was aligned. 1: as alignment left it. This model's own value is {value}.")
    return Preference(session.knobs.preference, tip.format(value=f"{session.model.knobs.preference:g}"))


def _lesion_title(lesion) -> str:
    return lesion.label + (" · " + _("box") if "box" in lesion.place else "")


def _rows(panel: "Panel", facts: Facts) -> tuple[StyleRow, ...]:
    """Consensus, the reader styles in their order whether computed or not, then sentences and what lies between."""
    lesion, model = panel.session.lesion, panel.session.model
    asked = panel.jobs.asked(lesion) if lesion else set()
    offered = {}
    if model is not None:
        offered["consensus"] = (_("Consensus"), CONSENSUS_COLOR)
        colors = expert_colors(expert.name for expert in model.experts)
        offered |= {expert.name: (expert.title, colors[expert.name]) for expert in model.experts}
    names = [*offered, *(name for name in facts.rows if name not in offered)]
    return tuple(
        _computed(facts.rows[name], lesion.visible(name), name in asked, panel.session)
        if name in facts.rows
        else _offered(name, *offered[name], name in asked)
        for name in names
    )


def _computed(row: Row, shown: bool, asked: bool, session) -> StyleRow:
    """With the model's name where another one than the chosen one drew it, or with the knobs that it drew with where they
    were turned since."""
    title = _title([row.title, _drawn_otherwise(row, session), _("edited") if row.edited else ""])
    volume = volume_words(row.volume)
    agreement = ("", "") if row.name == "consensus" else (number_words(row.dice, 2), number_words(row.hd95_mm, 1))
    return StyleRow(row.name, title, row.color, shown, True, _("computing…") if asked else volume, *agreement)


def _drawn_otherwise(row: Row, session) -> str:
    if session.model is None or (row.model, row.knobs) == (session.model.name, session.knobs):
        return ""
    if row.model != session.model.name:
        return row.model
    words = {"steps": _("{value} steps"), "preference": _("preference {value}")}
    drawn, now = asdict(row.knobs), asdict(session.knobs)
    turned = (name for name, value in drawn.items() if value not in (None, now[name]))
    return _title([words[name].format(value=f"{drawn[name]:g}") for name in turned]) or row.model


def _offered(name: str, title: str, color: str, asked: bool) -> StyleRow:
    return StyleRow(name, title, color, asked, False, _("computing…") if asked else "")


def _consensus_words(facts: Facts, lesion) -> str:
    row = facts.rows.get("consensus")
    if row is None:
        return ""
    words = _("median {median} mL, 90 % between {low} and {high} mL")
    return f"{lesion.label}: {volume_words(row.volume, words)}"
