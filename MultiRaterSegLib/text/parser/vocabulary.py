"""Words with a meaning: from a sentence to tagged tokens. The words themselves are in vocabulary.toml."""

import tomllib
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from importlib import resources

from .plain import join_particles, plain_words

SUFFIXES = (
    *(("ies", "y"), ("es", ""), ("s", ""), ("ied", "y"), ("ed", ""), ("ed", "e"), ("ing", ""), ("ing", "e")),
    *(("ily", "y"), ("ly", ""), ("iest", "y"), ("ier", "y"), ("est", ""), ("est", "e"), ("er", ""), ("er", "e")),
)
RANKS = {"a1", "a2", "a3", "a4"}
SHORTEST_CORRECTED = 5
OPPOSED = {"smooth": "rough", "rough": "smooth", "tight": "generous", "generous": "tight"}
DERIVED = {
    **dict.fromkeys(("un", "non"), OPPOSED),
    "over": dict.fromkeys(("include", "outline", "grow", "large", "follow"), "generous"),
    "under": dict.fromkeys(("include", "outline", "grow", "large", "follow"), "tight"),
}
"""What a prefix makes of a word's tag."""


@dataclass(frozen=True)
class Token:
    """Words of the sentence with one tag of the vocabulary ('' where they have no meaning here)."""

    text: str
    tag: str
    read_as: str = ""


def tokenize(text: str) -> list[Token]:
    """A sentence as tagged tokens; the longest entry of the vocabulary wins at each place."""
    words = join_particles(plain_words(text), _tag_of)
    tokens, position = [], 0
    while position < len(words):
        length, token = _match(words, position)
        tokens.append(token)
        position += length
    return tokens


def _tag_of(words: Sequence[str]) -> str:
    """The tag of the entry that just these words form, inflected or not."""
    return _tag_of_phrase(" ".join(words))


@cache
def _tag_of_phrase(phrase: str) -> str:
    words = phrase.split()
    first, *rest = [stems_of(word) for word in words]
    listed = (item for start in first for item in entries().get(start, ()) if len(item[0]) == len(words))
    return next((tag for entry, tag in listed if all(part in stem for part, stem in zip(entry[1:], rest))), "")


def _match(words: list[str], position: int) -> tuple[int, Token]:
    first = words[position]
    if first in PUNCTUATION:
        return 1, Token(first, PUNCTUATION[first])
    stems = [_stems_or_slip(word) for word in words[position : position + longest_entry()]]
    found = [
        (entry, tag)
        for start in stems[0]
        for entry, tag in entries().get(start, ())
        if len(entry) <= len(stems) and all(part in stem for part, stem in zip(entry, stems))
    ]
    if found:
        entry, tag = max(found, key=lambda item: len(item[0]))
        return len(entry), Token(" ".join(words[position : position + len(entry)]), tag, " ".join(entry))
    if first in RANKS:
        return 1, Token(first, "rank", first)
    if any(letter.isdigit() for letter in first) or "%" in first:
        return 1, Token(first, "amount")
    derived = _derived(first)
    if derived:
        return 1, Token(first, derived, first)
    return 1, Token(first, "")


@cache
def _stems_or_slip(word: str) -> tuple[str, ...]:
    """What the word may be an inflection of; of an unknown word, what it may be a slip of."""
    stems = stems_of(word)
    slip = "" if known_words() & {*stems} or _derived(word) else _correct(word)
    return (*stems, slip) if slip else stems


PUNCTUATION = dict.fromkeys(",():=–", "comma") | dict.fromkeys(".;!?", "stop")
PUNCTUATION |= {"+": "with", "&": "and"}


@cache
def stems_of(word: str) -> tuple[str, ...]:
    """The word, then what it may be an inflection of: 'trimmed' -> trimmed, trimm, trim, trimme."""
    irregular = _table()["irregular"]
    stems = [word, *([irregular[word]] if word in irregular else [])]
    for suffix, ending in SUFFIXES:
        stem = word.removesuffix(suffix)
        if stem != word and len(stem) >= 3:
            stems.append(stem + ending)
            if not ending and stem[-1] == stem[-2]:
                stems.append(stem[:-1])
    return tuple(stems)


@cache
def _derived(word: str) -> str:
    """The tag of a word made from a known one: 'unpolished', 'non-smooth', 'overmarked', 'underfill' ("" if none)."""
    for prefix, tags in DERIVED.items():
        if word.startswith(prefix):
            found = {single_words().get(stem, "") for stem in stems_of(word.removeprefix(prefix))} - {""}
            return tags.get(found.pop(), "") if len(found) == 1 else ""
    return ""


@cache
def _table() -> dict:
    return tomllib.loads(resources.files(__package__).joinpath("vocabulary.toml").read_text(encoding="utf-8"))


@cache
def vocabulary() -> dict[str, list[tuple[str, ...]]]:
    """{tag: entries as tuples of words}, from vocabulary.toml."""
    lists = {tag: text for tag, text in _table().items() if tag != "irregular"}
    return {tag: [tuple(entry.split()) for entry in text.split(",") if entry.strip()] for tag, text in lists.items()}


@cache
def entries() -> dict[str, list[tuple[tuple[str, ...], str]]]:
    """{first word: [(entry, tag)]}."""
    index: dict[str, list] = {}
    for tag, listed in vocabulary().items():
        for entry in listed:
            index.setdefault(entry[0], []).append((entry, tag))
    return index


@cache
def longest_entry() -> int:
    return max(len(entry) for listed in vocabulary().values() for entry in listed)


@cache
def single_words() -> dict[str, str]:
    """{word: tag} of the entries of one word."""
    return {entry[0]: tag for tag, listed in vocabulary().items() for entry in listed if len(entry) == 1}


@cache
def known_words() -> set[str]:
    """Every word that stands in an entry."""
    return {word for listed in vocabulary().values() for entry in listed for word in entry}


@cache
def _by_initial() -> dict[str, list[str]]:
    """{first letter: words that a slip may be corrected to}."""
    index: dict[str, list[str]] = {}
    for word in single_words():
        if len(word) >= SHORTEST_CORRECTED - 1:
            index.setdefault(word[0], []).append(word)
    return index


@cache
def _correct(word: str) -> str:
    """The word of the vocabulary a single slip away ('' if none, or if they differ in meaning)."""
    near = [
        known
        for known in _by_initial().get(word[0], ())
        if _one_slip(word, known) or _one_slip(word.removesuffix("s"), known)
    ]
    small = [known for known in near if single_words()[known] == "filler"] or near  # 'shoud' is no 'shroud'
    return small[0] if len({single_words()[known] for known in small}) == 1 else ""


def _one_slip(typed: str, known: str) -> bool:
    """Letters swapped, lost or added; one wrong letter only in words long enough not to be another word."""
    if min(len(typed), len(known)) < SHORTEST_CORRECTED or typed[0] != known[0] or abs(len(typed) - len(known)) > 1:
        return False
    start = next((i for i, (a, b) in enumerate(zip(typed, known)) if a != b), min(len(typed), len(known)))
    left, right = typed[start:], known[start:]
    swapped = len(left) > 1 and left[:2] == right[1::-1] and left[2:] == right[2:]
    wrong = left[1:] == right[1:] and len(typed) > SHORTEST_CORRECTED
    return swapped or wrong or left[1:] == right or left == right[1:]
