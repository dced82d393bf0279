"""What the parser does not read: outright, or only as long as it insists on knowing every word that matters."""

from collections.abc import Sequence
from itertools import pairwise

from ...errors import UnsupportedRequest
from .marks import HEADS, LIGHT, QUALITIES, THINGS, VERBS, WINDOWS
from .segments import Segment
from .told import asks, told
from .vocabulary import Token

NEED_OBJECTS = {*VERBS, "not", "not_so", "small", "large", "whole"} - {"follow"}
"""Tags whose words must be followed by something that is known here."""
DECIDING = {"include", "exclude", "with", "not", "hold", "leave", "grow", "shrink"}
SAYING = {"is", "are", "was", "were", "has", "have", "says", "said", "wants", "recommends", "asks"}
DISPLAYING = {"show", "set", "display", "open", "toggle", "switch", "change"}
ENDS_PHRASE = {"preposition", "to", "if", "particle_in", "particle_out", *VERBS}


class Unclear(UnsupportedRequest):
    """The strict reading stops here; a more forgiving one (guess.py) may still find an answer."""


def refuse_outright(tokens: Sequence[Token]) -> None:
    """What no reader style can answer, or is no request: numbers, other organs, windows, questions, other languages."""
    amounts = [
        token.text
        for before, token in pairwise((Token("", ""), *tokens))
        if token.tag == "amount" and before.tag != "person"
    ]
    if amounts:
        raise UnsupportedRequest(f"'{amounts[0]}': reader styles differ in manner; no number can be set.")
    if any(token.tag == "language" for token in tokens):
        raise UnsupportedRequest("Only English is understood.")
    windows = any(token.tag in WINDOWS for token in tokens)
    if windows and any(token.read_as in DISPLAYING for token in tokens):
        raise UnsupportedRequest("The window of the display is not changed here; say how to outline.")
    vague = [token.text for token in tokens if token.tag == "vague"]
    if vague:
        raise UnsupportedRequest(f"'{vague[0]}' does not say what should be in and what should be out.")
    _refuse_questions(tokens)


def _refuse_questions(tokens: Sequence[Token]) -> None:
    """A question that no other sentence follows: 'why is the rim missing? Add it' ends with a wish."""
    stops = [index for index, token in enumerate(tokens) if token.tag == "stop"]
    goes_on = bool(stops) and any(token.tag != "stop" for token in tokens[stops[0] :])
    if asks(tokens) and not goes_on:
        raise UnsupportedRequest("It is a question; say what the outline should be like.")


def refuse_foreign(segments: Sequence[Segment]) -> None:
    """Other organs, directions, commands: refused, unless they stand in a reason ('the oesophagus is near, so ...')."""
    for segment, manner in zip(segments, told(segments)):
        content = [token for token in segment.tokens if token.tag != "determiner"]
        subject = len(content) > 1 and content[1].text in SAYING and segment.joint in ("stop", "but")
        foreign = [token.text for token in content if token.tag == "foreign"]
        if foreign and manner != "reason" and not (subject and content[0].text == foreign[-1]):
            raise UnsupportedRequest(f"A reader style cannot answer '{foreign[0]}'.")


def refuse_dashes(segments: Sequence[Segment]) -> None:
    """'core - halo' takes away, 'tight - halo included' goes on: with a bare thing behind it, a dash can be either."""
    for segment in segments:
        tags = {token.tag for token in segment.tokens}
        governed = tags & {*VERBS, "not", "particle_in", "particle_out"}
        if segment.word == "–" and segment.tokens[0].tag in THINGS and not governed:
            raise UnsupportedRequest("A dash can mean 'without' or a pause: say 'without' or 'with'.")


def refuse_other_objects(segments: Sequence[Segment]) -> None:
    """'exclude the frobnitz', 'and the frobnitz': an unknown noun that is to be in or out may be another organ."""
    for segment in segments:
        if segment.tokens[0].text == "like":
            continue  # 'like peeling an onion'
        decides = segment.joint in ("and", "except")
        for index, token in enumerate(segment.tokens):
            decides = token.tag in DECIDING or (decides and token.tag in LIGHT)
            noun = "".join(word.tag for word in segment.tokens[index + 1 : index + 2])
            ends = index + 1 == len(segment.tokens) or noun in ENDS_PHRASE
            before = segment.tokens[index - 1] if index else token
            named = before.tag == "determiner" and before.text not in ("it", "them")
            if decides and token.tag == "" and named and ends:
                raise UnsupportedRequest(f"'{token.text}' is not known here.")


def refuse_strange_words(segments: Sequence[Segment]) -> None:
    """An unknown word where the sentence names what to include or exclude, or what to do with it. Raises Unclear."""
    governed = False
    for segment, manner in zip(segments, told(segments)):
        if manner == "question":
            continue
        governs = [i for i, token in enumerate(segment.tokens) if token.tag in NEED_OBJECTS]
        listed = governed and segment.joint in ("and", "comma", "except", "but") and not governs
        if segment.joint == "except" or listed:
            governs.append(-1)
        for start in governs:
            strange = _strange_object(segment.tokens[start + 1 :])
            if strange:
                raise Unclear(f"'{strange}' is not known here.")
        strange = "" if listed else _strange_verb(segment.tokens)
        if strange:
            raise Unclear(f"What '{strange}' should do to the outline is not known here.")
        governed = bool(governs)


def _strange_object(tokens: Sequence[Token]) -> str:
    known = THINGS | HEADS | set(QUALITIES) | {"whole", "average", "core"}
    strange = ""
    for token in tokens:
        if token.tag in known:
            return ""
        strange = strange or (token.text if token.tag == "" else "")
        if token.tag not in LIGHT:
            break
    return strange


def _strange_verb(tokens: Sequence[Token]) -> str:
    """'obliterate the halo', 'halo obliteration': an unknown word beside a thing that no known word governs."""
    if any(token.tag in VERBS or token.tag == "missing" for token in tokens):
        return ""
    links = ("determiner", "filler", "preposition")
    content = [(token, before) for before, token in pairwise((Token("", "stop"), *tokens)) if token.tag not in links]
    for (word, before), (other, _) in (*pairwise(content), *pairwise(reversed(content))):
        adjective = before.tag == "determiner" or before.text in ("no", "without")
        if word.tag == "" and other.tag in THINGS and not adjective:
            return word.text
    return ""
