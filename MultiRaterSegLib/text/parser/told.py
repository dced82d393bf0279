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
REGRETS = {
    "by accident",
    "accidentally",
    "by mistake",
    "mistakenly",
    "in error",
    "erroneously",
    "wrongly",
    "unfortunately",
}
REGRETS |= {"a pity", "a shame", "sadly", "regrettably", "unnecessarily", "needlessly", "overkill"}
REPAIRS = {"undo", "fix", "reverse", "revert", "rectify", "repair", "put right"}
REASONS = {"because", "since", "because of", "due to", "owing to", "on account of"}
CONCLUSIONS = {"so", "hence", "thus", "therefore", "which is why", "accordingly", "consequently"}
PLACES = {"in", "inside", "within", "outside", "beyond"}
"""'There is lung inside your outline': what is seen there is not wanted there."""
SEEMING = {"look", "seem", "appear", "feel"}
"""'It looks bloated', 'the line seems ragged': nobody speaks so of what should stay."""


def asks(tokens: Sequence[Token]) -> bool:
    """'is it spiculated', 'how large is it', 'what are those spikes doing'; 'could you ...' is a wish."""
    first, second = (*tokens, Token("", ""), Token("", ""))[:2]
    if first.text == "how":
        return second.tag in QUALITIES or second.tag in DEGREES
    marked = second.text in COPULA or any(token.text == "?" for token in tokens)
    return first.text in ASKING or (first.text in OPEN_QUESTIONS and marked)


def told(segments: Sequence[Segment]) -> list[str]:
    """Of each segment: "fault" (the opposite is wanted), "seen", "reason" or "question" (yields to
    any request), "" (a request)."""
    manners: list[str] = []
    question = False
    for segment, following in zip(segments, (*segments[1:], None)):
        if segment.joint == "stop":
            question = asks(segment.tokens)
        manner = "question" if question else _manner(segment.tokens)
        if not manner and segment.joint == "and" and manners and _has_no_subject(segment):
            manner = manners[-1]
        ends = following.joint == "stop" if following else segment.tokens[0].text == "your"
        if not manner and ends and _is_described(segment.tokens):
            manner = "fault"
        if manners and _repairs(segment.tokens):
            manners[-1] = "fault"  # 'Why is the halo in? Undo that.'
        if not manner and _gives_reason(segment, following):
            manner = "reason"
        manners.append(manner)
    return manners


def describes(tokens: Sequence[Token]) -> bool:
    """'the outline is wearing a coat', 'your contour goes into the haze', 'an ellipse would be too simple'."""
    for token in tokens[1:]:
        finite = token.tag in VERBS and token.text.split()[0].endswith("s")
        if finite or token.text in COPULA or token.text == "be":
            return True
    return False


def _repairs(tokens: Sequence[Token]) -> bool:
    """'please undo that', 'it should not be'."""
    words = {word for token in tokens for word in (token.text, token.read_as)}
    refuted = any(token.tag == "not" for token in tokens) and "should" in words and words & {"it", "they", "that"}
    empty = all(token.tag in ("filler", "determiner", "not") for token in tokens)
    return empty and bool(refuted or words & REPAIRS)


def _gives_reason(segment: Segment, following: Segment | None) -> bool:
    """'because the oesophagus is near', 'my student drew too much, so ...'."""
    return segment.word in REASONS or (following is not None and following.tokens[0].text in CONCLUSIONS)


def _manner(tokens: Sequence[Token]) -> str:
    words = {word for token in tokens for word in token.text.split()}
    if words & MODAL:
        return ""
    acts = [token for token in tokens if token.tag in VERBS or token.tag in QUALITIES]
    overdone = bool(words & COPULA) and any(
        t.text.endswith("ed") and t.text.startswith(("over", "under")) and t.tag in QUALITIES for t in acts
    )
    spilt = overdone or any(token.read_as in SPILLING and token.text != token.read_as for token in acts)
    passive = bool(words & PAST) and any(token.tag in ("include", "exclude", "follow") for token in tokens)
    stands = words & {"there"} and words & PLACES and any(token.tag in DRAWN for token in tokens)
    stands = stands and all(token.tag != "target" for token in tokens)
    if tokens[0].text in ("is", "are", "was") and _is_quality(tokens):
        return "seen"  # 'smooth it, is very irregular'
    if any(token.text in REGRETS for token in tokens):
        return "fault"
    if spilt or passive or stands or _seems(tokens) or _starts_with_you(tokens) or (words & EARLIER and "you" in words):
        return "fault"
    takes_lung = any(token.tag == "surroundings" or token.text == "lung" for token in tokens)
    return ("fault" if takes_lung else "seen") if _states(tokens) else ""


def _starts_with_you(tokens: Sequence[Token]) -> bool:
    """'you cut off the rim', 'you have included it', not 'you, please'."""
    words = " ".join(token.text for token in tokens).split()
    return words[0] == "you" and len(words) > 1


def _seems(tokens: Sequence[Token]) -> bool:
    """'it looks bloated', 'the border seems ragged', not 'make it look ragged'."""
    for index, token in enumerate(tokens):
        if token.text.removesuffix("s") in SEEMING and token.text.endswith("s"):
            subject = tokens[:index]
            return any(t.tag in DRAWN or t.text in ("it", "this", "that") for t in subject) and _is_quality(
                tokens[index:]
            )
    return False


def _is_described(tokens: Sequence[Token]) -> bool:
    """'The line is dull. Make it ...'"""
    words = [token for token in tokens if token.tag != "determiner"]
    return len(words) > 2 and words[0].tag in DRAWN and words[1].text in ("is", "are") and words[2].tag in QUALITIES


def _is_quality(tokens: Sequence[Token]) -> bool:
    return any(token.tag in QUALITIES or token.tag in ("grow", "shrink") for token in tokens)


def _states(tokens: Sequence[Token]) -> bool:
    """'the line glides over the strands': a drawn thing is the subject of a finite verb."""
    if tokens[0].text == "it" and any(token.text in ("has", "takes", "covers") for token in tokens[1:3]):
        return True
    subject = False
    for before, token in pairwise((Token("", ""), *tokens)):
        if subject and token.tag in VERBS and token.text.split()[0].endswith("s"):
            return before.tag in DRAWN or before.tag == "filler"
        subject = subject or token.tag in DRAWN
    return False


def _has_no_subject(segment: Segment) -> bool:
    return not any(token.text in ("i", "we", "please") for token in segment.tokens)
