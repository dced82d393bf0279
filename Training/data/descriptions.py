"""LIDC-IDRI's ratings as sentences: what is said of a nodule, and never who said it or who said nothing.

A reader without a rating drew no outline, so a text that tells readers with ratings from those without gives the answer
away. Therefore a reader without one takes the words of a reader who rated, in turn: over the readers of a nodule, a text
says nothing about whether its mask is empty. For evaluation a nodule has one text, the median of those who rated, which
hides how many did.

Words for the extent (tight, generous) come from the rank by area instead: the method pairs its training sentences with
the reader who stands for that rank among those who outlined something, see `Batch.expert_mask`.
"""

from collections.abc import Sequence
from functools import lru_cache
from typing import Literal

import numpy as np

from MultiRaterSegLib.errors import DataError
from MultiRaterSegLib.text.lidc_terms import CATEGORIES, LIDC_TERMS, statement

from .slices import Slices

Text = tuple[str, ...]
"""Sentences; () says nothing."""

NEUTRAL: Text = ()
Kind = Literal["neutral", "median", "other", "readers"]
CLOSING = "Although there are descriptions of the lesion, its boundaries are what has to be found."


def describe(ratings: Sequence[int]) -> Text:
    """Nine ratings in LIDC's order (0: not given) -> a sentence for each that is given and has a term (in LIDC one nodule's
    internal structure was rated 5 of 4)."""
    return _describe(tuple(int(r) for r in ratings))


def reader_texts(ratings: np.ndarray) -> list[Text]:
    """Ratings [M, 9] of a nodule -> a text a reader; one who gave none takes that of one who did."""
    rated = np.flatnonzero(ratings.any(1))
    if len(rated) == 0:
        return [NEUTRAL] * len(ratings)
    lenders = iter(np.resize(rated, len(ratings)))
    return [describe(row if row.any() else ratings[next(lenders)]) for row in ratings]


def median_text(ratings: np.ndarray) -> Text:
    """Ratings [M, 9] -> one text: the lower median of those who rated, for kinds the most frequent one."""
    rated = ratings[ratings.any(1)]
    if len(rated) == 0:
        return NEUTRAL
    middle = np.sort(rated, 0)[(len(rated) - 1) // 2]
    for column, name in enumerate(LIDC_TERMS):
        if name in CATEGORIES:
            middle[column] = np.bincount(rated[:, column]).argmax()
    return describe(middle)


def describe_slices(slices: Slices) -> np.ndarray:
    """What each reader says of each slice's nodule: an array of texts [n, M]."""
    texts = np.empty(slices.ratings.shape[:2], object)
    for lesion in np.unique(slices.lesion):
        rows = np.flatnonzero(slices.lesion == lesion)
        for reader, text in enumerate(reader_texts(slices.ratings[rows[0]])):
            for row in rows:
                texts[row, reader] = text
    return texts


def evaluation_texts(
    slices: Slices, rows: Sequence[int], kind: Kind, samples: int = 1, seed: int = 0
) -> list[list[Text]]:
    """Texts [S][B] for the rows; S is 1 but for "readers".

    "neutral": nothing is said. "median": what is said of the lesion, see `lesion_text`. "other": that of a lesion of
    another patient, drawn by (seed, row). "readers": sample k has what reader k, k + M, ... of those who saw the image
    says, as the papers' sixteen prompts; of `lidc_full_prompt` these are the papers' own, which hold the answer.

    Raises DataError for slices that nothing is said of.
    """
    if kind == "neutral":
        return [[NEUTRAL] * len(rows)]
    if slices.texts is None and slices.ratings is None:
        raise DataError(
            f"These data hold no descriptions, so there is no '{kind}' text. Give 'neutral', or a data set with texts: "
            "lidc_described, ima_plus_plus."
        )
    if kind == "readers":
        spoken = [_said(slices, row) for row in rows]
        return [[texts[k % len(texts)] for texts in spoken] for k in range(samples)]
    told = rows if kind == "median" else [_elsewhere(slices, row, seed) for row in rows]
    return [[lesion_text(slices, row) for row in told]]


def lesion_text(slices: Slices, row: int) -> Text:
    """One text of a slice's lesion: of ratings their median; of other descriptions what all who saw it say alike."""
    if slices.ratings is not None:
        return median_text(slices.ratings[row])
    first, *others = _said(slices, row)
    return tuple(sentence for sentence in first if all(sentence in text for text in others))


def _said(slices: Slices, row: int) -> list[Text]:
    """What each reader who saw the image says of it."""
    texts = reader_texts(slices.ratings[row]) if slices.texts is None else slices.texts[row]
    saw = np.ones(len(texts), bool) if slices.present is None else slices.present[row]
    return [text for text, present in zip(texts, saw) if present] or [NEUTRAL]


def full_prompts(slices: Slices, thickness_mm: np.ndarray) -> np.ndarray:
    """The papers' whole prompt of each reader [n, M], which gives the answer away: ratings in numbers and words, then
    diameter, volume, slices and bounding box of that reader's own outline. A reader who drew nothing has none of these.

    thickness_mm: [n]. Only to repeat the papers; off everywhere by default (data set `lidc_full_prompt`).
    """
    texts = np.empty(slices.areas_px.shape, object)
    for lesion in np.unique(slices.lesion):
        rows = np.flatnonzero(slices.lesion == lesion)
        masks, spacing = slices.masks(rows), slices.spacing_mm[rows[0]]
        for reader in range(masks.shape[1]):
            ratings = slices.ratings[rows[0], reader]
            spoken = zip(LIDC_TERMS, ratings)
            numbers = tuple(f"The {name[0].lower()}{name[1:]} is {int(r)}." for name, r in spoken if r)
            place = _place(masks[:, reader], slices.slice_index[rows], spacing, float(thickness_mm[rows[0]]))
            for row in rows:
                texts[row, reader] = (*numbers, *describe(ratings), *place, CLOSING)
    return texts


def _place(masks: np.ndarray, index: np.ndarray, spacing: float, thickness: float) -> Text:
    """Where and how large one reader's outline of a nodule is; masks [K, H, W] of its slices `index` [K]."""
    if not masks.any():
        return ()
    ks, ys, xs = np.nonzero(masks)
    areas = masks.sum((1, 2)) * spacing**2
    box = ", ".join(f"slice({v.min()},{v.max() + 1})" for v in (ys, xs, index[ks]))
    return (
        f"The diameter mm is {2 * np.sqrt(areas.max() / np.pi):.2f}.",
        f"The volume mm^3 is {areas.sum() * thickness:.2f}.",
        f"The slice indices is [{index[ks].min()}-{index[ks].max()}].",
        f"The bbox is ({box}).",
    )


def _elsewhere(slices: Slices, row: int, seed: int) -> int:
    """A row of another patient (the row itself where there is no other)."""
    others = np.flatnonzero(slices.patient != slices.patient[row])
    return int(np.random.default_rng([seed, int(row), 0x07E5]).choice(others)) if len(others) else int(row)


@lru_cache(maxsize=4096)
def _describe(ratings: tuple[int, ...]) -> Text:
    return tuple(statement(name, r) for name, r in zip(LIDC_TERMS, ratings) if 0 < r <= len(LIDC_TERMS[name]))
