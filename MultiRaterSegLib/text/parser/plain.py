"""A sentence as plain words: no contractions, no rhetorical 'not', no verb parted from its particle."""

import re
from collections.abc import Callable, Sequence

AUXILIARY = "do|does|did|should|would|could|must|might|need|dare|ought|is|are|was|were|has|have|had"
NEGATED = re.compile(rf"\b({AUXILIARY})(?:n[' ]?t|'nt)\b")
RHETORICAL = re.compile(r"((?:^|[.?!;,]\s*)(?:would|could|can|should|will)) not (?=(?:you|we|i|it|the|a|an|this)\b)")
STOPPING = re.compile(r"\bstop (?=\w+ing\b)")
WORD = re.compile(r"[a-z0-9]+(?:[.,]\d+)?%?|[,.;:!?()+&=%–]")

PARTICLES = {"in", "out", "off", "up", "down", "away", "back", "aside", "behind"}
PRONOUNS = {"it", "them", "those", "that", "this"}
DETERMINERS = {"the", "a", "its", "your", "any", "all", "every", "each", "these"} | PRONOUNS
OBJECT_TAGS = {"", "outline", "edge", "target", "part", "margin", "filler", "spicule"}
LONGEST_OBJECT = 4
PARTING = {
    **dict.fromkeys(("grow", "shrink", "smooth", "rough", "tight", "generous"), False),
    **dict.fromkeys(("include", "exclude", "fill"), True),
}
"""Tags of the particle verbs that are put together; True: only around a pronoun or the lesion, since particles do
the rest."""


def plain_words(text: str) -> list[str]:
    """Words, numbers and punctuation, in lower case."""
    return WORD.findall(_plain(text))


def _plain(text: str) -> str:
    """Lower case, no contractions, no hyphens inside words; signs before a word become words."""
    text = text.lower().replace("’", "'").replace("‐", "-").replace("‑", "-")
    text = re.sub(r"\bcan(?:not|'?t)\b", "can not", text)
    text = re.sub(r"\bwon'?t\b|\bshan'?t\b", "will not", text)
    text = re.sub(r"\b(incl|excl|approx|vs|resp|i\.e|e\.g)\.", r"\1", text)
    text = RHETORICAL.sub(r"\1 ", NEGATED.sub(r"\1 not", text))
    text = STOPPING.sub("not ", text)
    text = re.sub(r"'(?:re|s|m|d|ll)\b", "", re.sub(r"\b(\w+)'ve\b", r"\1 have", text))
    text = re.sub(r"\bw/o\b", "without", re.sub(r"\bw/(?!\w*o\b)", "with ", text))
    text = re.sub(r"(?<![\w)])[-−](?=[a-z])", " minus ", text)
    text = re.sub(r"\s[-–—−]\s|[–—]", " – ", text)
    return re.sub(r"(?<=\w)[-−'](?=\w)", " ", text).replace("/", " or ")


def join_particles(words: Sequence[str], tag_of: Callable[[Sequence[str]], str]) -> list[str]:
    """'round them off', 'rough the border up' -> 'round off them', 'rough up the border'.

    tag_of: the tag of the entry that just these words form ('' if none).
    """
    joined = list(words)
    for start in range(len(joined) - 2):
        opens_object = joined[start + 1] in DETERMINERS or tag_of(joined[start + 1 : start + 2]) in ("target", "part")
        if not opens_object or tag_of(joined[start : start + 1]) == "shift":
            continue
        for end in range(start + 2, min(start + LONGEST_OBJECT + 2, len(joined))):
            if joined[end] in PARTICLES and _parted(joined, start, end, tag_of):
                joined.insert(start + 1, joined.pop(end))
                break
            if tag_of(joined[end : end + 1]) not in OBJECT_TAGS:
                break
    return joined


def _parted(words: Sequence[str], start: int, end: int, tag_of: Callable[[Sequence[str]], str]) -> bool:
    tag = tag_of([words[start], words[end]])
    pronoun = end == start + 2 and words[start + 1] in PRONOUNS
    lesion = any(tag_of([word]) in ("target", "part") for word in words[start + 1 : end])
    return tag in PARTING and (pronoun or lesion or not PARTING[tag])
