"""What is told about an outline that exists, not asked of the next one: complaints, observations, questions."""

from collections.abc import Sequence
from itertools import pairwise

from .marks import DEGREES, QUALITIES, VERBS
from .segments import Segment
from .vocabulary import Token

ASKING = {"is", "are", "was", "were", "does", "did", "why", "which"}
OPEN_QUESTIONS = {"what", "where", "who"}
COPULA = {"is", "are", "was", "were", "have", "has", "had", "do", "does", "did"}
MODAL = {"can", "could", "should", "shall", "must", "may", "might", "will", "would", "need", "ought", "do", "to"}
PAST = {"was", "were", "been", "had", "got"}
EARLIER = {"last", "previous", "earlier", "before", "previously", "originally"}
SPILLING = {
    "swell",
    "bleed",
    "spill",
    "spill over",
    "leak",
    "leak out",
    "overflow",
    "overrun",
    "overshoot",
    "undershoot",
}
SPILLING |= {f"{verb} into" for verb in ("bleed", "spill", "leak", "creep", "intrude", "cut")}
SPILLING |= {"fall short", "fall short of", "encroach", "encroach on", "cut across", "cut through"}
SPILLING |= {f"{verb} over" for verb in ("glide", "skate", "run")}
"""Verbs that nobody asks for: an outline that bleeds, spills or falls short is a complaint."""
DRAWN = {"outline", "edge"}


def asks(tokens: Sequence[Token]) -> bool:
    """'is it spiculated', 'how large is it', 'what are those spikes doing'; 'could you ...' is a wish."""
    first, second = (*tokens, Token("", ""), Token("", ""))[:2]
    if first.text == "how":
        return second.tag in QUALITIES or second.tag in DEGREES
    return first.text in ASKING or (first.text in OPEN_QUESTIONS and second.text in COPULA)


def told(segments: Sequence[Segment]) -> list[str]:
    """Of each segment: "fault" (the opposite is wanted), "seen" or "question" (yields to any request), "" (a request)."""
    manners: list[str] = []
    question = False
    for segment in segments:
        if segment.joint == "stop":
            question = asks(segment.tokens)
        manner = "question" if question else _manner(segment.tokens)
        if not manner and segment.joint == "and" and manners and _has_no_subject(segment):
            manner = manners[-1]
        manners.append(manner)
    return manners


def _manner(tokens: Sequence[Token]) -> str:
    words = {word for token in tokens for word in token.text.split()}
    if words & MODAL:
        return ""
    acts = [token for token in tokens if token.tag in VERBS or token.tag in QUALITIES]
    overdone = bool(words & COPULA) and any(
        t.text.endswith("ed") and t.text.startswith(("over", "under")) for t in acts
    )
    spilt = overdone or any(token.read_as in SPILLING and token.text != token.read_as for token in acts)
    passive = bool(words & PAST) and any(token.tag in ("include", "exclude", "follow") for token in tokens)
    if spilt or passive or _starts_with_you(tokens) or (words & EARLIER and "you" in words):
        return "fault"
    return "seen" if _states(tokens) else ""


def _starts_with_you(tokens: Sequence[Token]) -> bool:
    """'you cut off the rim', 'you have included it', not 'you, please'."""
    words = " ".join(token.text for token in tokens).split()
    return words[0] == "you" and len(words) > 1


def _states(tokens: Sequence[Token]) -> bool:
    """'the line glides over the strands': a drawn thing is the subject of a finite verb."""
    subject = False
    for before, token in pairwise((Token("", ""), *tokens)):
        if subject and token.tag in VERBS and token.text.split()[0].endswith("s"):
            return before.tag in DRAWN or before.tag == "filler"
        subject = subject or token.tag in DRAWN
    return False


def _has_no_subject(segment: Segment) -> bool:
    return not any(token.text in ("i", "we", "please") for token in segment.tokens)
