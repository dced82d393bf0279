"""Cutting a sentence at commas, 'and', 'but', 'except', 'rather than' into segments that say one thing each."""

from collections.abc import Sequence
from dataclasses import dataclass

from .marks import HEADS, LIGHT, QUALITIES, SHAPES, THINGS, VERBS
from .vocabulary import Token

STRENGTH = {"stop": 4, "but": 3, "than": 3, "except": 3, "and": 2, "comma": 1}
CHOOSING = {"prefer", "favour", "favor", "choose", "opt", "opt for"}


@dataclass(frozen=True)
class Segment:
    """joint: how it hangs on the one before (a key of STRENGTH); word: the word that said so."""

    joint: str
    word: str
    tokens: tuple[Token, ...]


def split(tokens: Sequence[Token]) -> list[Segment]:
    """Segments, each with the strongest joint before it; a lone 'nothing else' stays with what it restricts."""
    segments: list[Segment] = []
    joint, word, current = "stop", "", []
    compares = any(token.tag == "than" for token in tokens)
    for token in (*tokens, Token("", "stop")):
        if compares and token.text in ("rather", "sooner"):
            continue  # 'rather X than Y' is no degree
        tag = _joint_of(token, current, tokens)
        if tag:
            if current:
                _append(segments, Segment(joint, word, tuple(current)))
                joint, word, current = tag, token.text, []
            elif STRENGTH[tag] > STRENGTH[joint] or (not segments and tag in ("than", "except")):
                joint, word = tag, token.text
            else:
                word = word or token.text
        if not tag or token.tag == "not":
            current.append(token)
    return segments


def _append(segments: list[Segment], segment: Segment) -> None:
    tags = {token.tag for token in segment.tokens}
    if segments and "only" in tags and tags <= {"only", "filler"}:
        last = segments.pop()
        segment = Segment(last.joint, last.word, last.tokens + segment.tokens)
    segments.append(segment)


def _joint_of(token: Token, current: list[Token], tokens: Sequence[Token]) -> str:
    if token.text == "nor":
        return "and"
    if token.text in ("over", "to") and _chosen(current, token.text):
        return "than"  # 'prefer X over Y'
    if token.text == "but" and current and (current[-1].tag == "whole" or current[-1].text in ("nothing", "none")):
        return "except"  # 'everything but the halo'
    return token.tag if token.tag in STRENGTH else ""


def _chosen(current: list[Token], word: str) -> bool:
    """Whether the segment so far is a choice with its object: 'prefer X ...', 'X is preferred ...'."""
    choice = next((i for i, token in enumerate(current) if token.read_as in CHOOSING), None)
    if choice is None:
        return False
    chosen = current if word == "over" else current[choice:]
    return any(token.tag in QUALITIES or token.tag in THINGS for token in chosen)


def shared_head(segment: Segment, following: Segment | None) -> str:
    """The noun that qualities before 'and' or a comma share with the next ones: 'tight, smooth margins' -> margin."""
    if following is None or following.joint not in ("and", "comma"):
        return ""
    own = [token.tag for token in segment.tokens if token.tag in QUALITIES]
    if not own or any(t.tag in HEADS or t.tag in THINGS or t.tag in VERBS for t in segment.tokens):
        return ""
    tags = [token.tag for token in following.tokens if token.tag in QUALITIES or token.tag not in LIGHT]
    if len(tags) < 2 or tags[0] not in QUALITIES or tags[1] not in HEADS:
        return ""
    same_family = (own[-1] in SHAPES) == (tags[0] in SHAPES)
    return "" if following.joint == "comma" and same_family else tags[1]
