"""Small questions about the words around a word: which noun a quality describes, and whether a thing is named."""

from collections.abc import Sequence

from .marks import DEGREES, HEADS, LIGHT, QUALITIES, SHAPES, THINGS
from .vocabulary import Token

COPULA = {"is", "are", "be", "was", "were"}
HAVING = {"have", "has", "show"}
ABOUT = {"about", "concerning", "regarding"}


def names_things(tokens: Sequence[Token]) -> bool:
    """Whether something that can be in or out is named; a shape counts, as in 'exclude irregular edges'."""
    return any(token.tag in THINGS or token.tag in SHAPES for token in tokens)


def noun_of(tokens: Sequence[Token], index: int) -> str:
    """Tag of the noun that the quality at `index` describes; "" where its segment names none.

    Ahead in its phrase, the last of a chain ('small nodule outline'), or else behind it ('margins should be tight').
    """
    found = ""
    for token in tokens[index + 1 :]:
        if token.tag in HEADS or (token.tag in THINGS and not (found and token.tag == "doubt")):
            found = token.tag
        elif found or (token.tag not in QUALITIES and token.tag not in LIGHT):
            break
    return found or _noun_behind(tokens[:index])


def _noun_behind(tokens: Sequence[Token]) -> str:
    behind = next((token.tag for token in reversed(tokens) if token.tag in HEADS or token.tag in THINGS), "")
    if behind in THINGS - {"margin"}:
        return ""
    copula = any(token.text in COPULA for token in tokens)
    return "" if behind == "target" and not copula else behind


def is_about_thing(tokens: Sequence[Token], index: int) -> bool:
    """'be strict about the halo', 'be generous with the margins': the quality says how much of it."""
    ahead = [token for token in tokens[index + 1 :] if token.tag not in ("determiner", *DEGREES)][:2]
    if len(ahead) < 2 or ahead[1].tag not in ("halo", "spicule", "margin"):
        return False
    asks = {token.text for token in tokens[:index] if token.tag not in ("not", *DEGREES)}
    return ahead[0].text in ABOUT or (
        ahead[0].text == "with" and "be" in asks and asks <= {"be", "do", "please", "you"}
    )


def is_side_of_thing(tokens: Sequence[Token], index: int, noun: str) -> bool:
    """'the outer edge of the halo' is all of the halo, its inner edge none of it."""
    ahead = {token.tag for token in tokens[index + 1 :]}
    return tokens[index].tag in ("inner", "outer") and noun in ("edge", "part") and bool(ahead & {"halo", "core"})


def calls(tokens: Sequence[Token]) -> bool:
    """Whether these words say that what precedes them is what follows: '... is ...', 'treat ... as ...'."""
    return any(token.text == "as" or token.text in COPULA for token in tokens)


def is_called_lesion(after: Sequence[Token]) -> bool:
    """'(the haze) is always nodule'."""
    content = [
        token for token in after if token.tag != "determiner" and (token.tag not in LIGHT or token.text in COPULA)
    ]
    return len(content) > 1 and content[0].text in COPULA and content[1].tag == "target"


def describes_lesion(before: Sequence[Token]) -> bool:
    """'The nodule is part-solid', 'there is a halo': what is seen, not yet what is wanted."""
    seen = [token for token in before if token.text in COPULA or token.read_as in HAVING]
    subject = before and (before[0].text == "there" or any(token.tag == "target" for token in before))
    return bool(seen and subject) and not any(token.tag in ("include", "exclude") for token in before)
