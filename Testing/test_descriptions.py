"""Ratings become sentences that say nothing about who outlined; texts reach a batch beside the masks they belong to."""

from collections import Counter
from dataclasses import replace

import numpy as np
import pytest
from phantom import write_phantom

from MultiRaterSegLib.errors import DataError
from MultiRaterSegLib.frame import Frame
from MultiRaterSegLib.text.lidc_terms import LIDC_TERMS, split_statements, statement
from Training.data.batches import BatchSource
from Training.data.descriptions import (
    NEUTRAL,
    describe,
    describe_slices,
    evaluation_texts,
    full_prompts,
    median_text,
    reader_texts,
)
from Training.data.lidc_slices import EXPERTS, LidcSlices, load_lidc_described

NOBODY = [0] * 9
PAPER = [5, 1, 6, 5, 4, 1, 5, 4, 4]
"""The ratings of the papers' figure 1."""


@pytest.fixture
def slices(tmp_path):
    """The phantom with ratings: readers rate what they outlined; the last patient nobody rated."""
    slices = LidcSlices.load([write_phantom(tmp_path) / "fold0.npz"])
    rng = np.random.default_rng(0)
    ratings = np.zeros((len(slices), 4, 9), np.uint8)
    for lesion in np.unique(slices.lesion)[:-1]:
        rows = slices.lesion == lesion
        drew = slices.lesion_areas_px[rows][0] > 0
        ratings[np.ix_(rows, drew)] = rng.integers(1, 5, (drew.sum(), 9))
    return replace(slices, ratings=ratings)


def test_the_papers_example_is_said_in_the_papers_words():
    said = " ".join(describe(PAPER))
    assert said == (
        "The Subtlety is Obvious. The InternalStructure is Soft Tissue. The Calcification is Absent. "
        "The Sphericity is Round. The Margin is Near Sharp. The Lobulation is No Lobulation. "
        "The Spiculation is Marked Spiculation. The Texture is Solid/Mixed. The Malignancy is Moderately Suspicious."
    )


def test_a_rating_that_was_not_given_is_not_said():
    assert describe(NOBODY) == NEUTRAL
    assert describe([0, 0, 0, 0, 0, 0, 1, 0, 0]) == ("The Spiculation is No Spiculation.",)


def test_readers_without_a_rating_speak_as_those_with_one_do():
    """Over the readers of a nodule, texts of those with and without an outline are the same ones."""
    second = [1] * 9
    for ratings in ([PAPER, NOBODY, NOBODY, NOBODY], [NOBODY, PAPER, second, NOBODY], [PAPER, second, NOBODY, NOBODY]):
        array = np.array(ratings, np.uint8)
        texts = reader_texts(array)
        given = Counter(text for text, row in zip(texts, array) if row.any())
        lent = Counter(text for text, row in zip(texts, array) if not row.any())
        assert NEUTRAL not in texts
        assert set(lent) <= set(given)
        assert len(lent) == min(len(given), lent.total())
    assert reader_texts(np.zeros((4, 9), np.uint8)) == [NEUTRAL] * 4


def test_the_median_is_of_those_who_rated_and_hides_how_many_did():
    other = [1, 1, 4, 3, 2, 1, 1, 5, 2]
    one = median_text(np.array([PAPER, NOBODY, NOBODY, NOBODY], np.uint8))
    four = median_text(np.array([PAPER] * 4, np.uint8))
    assert one == four == describe(PAPER)
    mixed = median_text(np.array([PAPER, other, PAPER, NOBODY], np.uint8))
    assert mixed == describe(PAPER)
    degrees = median_text(np.array([[1] * 9, [4] * 9, [3] * 9], np.uint8))
    assert "The Margin is Medium Margin." in degrees
    kinds = median_text(np.array([[1, 1, 6] + [1] * 6, [1, 1, 6] + [1] * 6, [1, 1, 3] + [1] * 6], np.uint8))
    assert "The Calcification is Absent." in kinds
    assert median_text(np.zeros((4, 9), np.uint8)) == NEUTRAL


def test_no_text_for_training_or_evaluation_says_whether_a_reader_outlined(slices):
    """A text alone must not tell empty masks from others: on every nodule both groups use the same sentences."""
    texts = describe_slices(slices)
    for row in range(len(slices)):
        drew = slices.areas_px[row] > 0
        if drew.any() and not drew.all():
            assert {texts[row, r] for r in np.flatnonzero(~drew)} <= {texts[row, r] for r in np.flatnonzero(drew)}
    words = {word for text in texts.flat for word in " ".join(text).lower().split()}
    assert not words & {"reader", "readers", "none", "rated", "rating", "empty", "unrated"}


def test_evaluation_texts_are_of_the_own_nodule_of_another_one_or_of_nobody(slices):
    rows = np.arange(0, len(slices), 3)
    assert evaluation_texts(slices, rows, "neutral") == [[NEUTRAL] * len(rows)]
    (median,) = evaluation_texts(slices, rows, "median")
    assert median == [median_text(slices.ratings[row]) for row in rows]
    (other,) = evaluation_texts(slices, rows, "other")
    (again,) = evaluation_texts(slices, rows[::-1], "other")
    assert other == again[::-1]  # what is drawn belongs to the row
    known = {median_text(ratings) for ratings in slices.ratings}
    assert set(other) <= known
    assert sum(a != b for a, b in zip(other, median)) > len(rows) / 2
    spoken = evaluation_texts(slices, rows, "readers", samples=6)
    assert len(spoken) == 6
    assert spoken[4] == spoken[0]
    assert spoken[1][0] == reader_texts(slices.ratings[rows[0]])[1]


def test_where_readers_speak_for_themselves_their_own_words_count_and_the_lesion_has_what_they_share(slices):
    texts = np.empty((len(slices), 4), object)
    for row in range(len(slices)):
        for reader in range(4):
            texts[row, reader] = (f"It lies at {row}.", f"Drawn by {reader}.")
    present = np.ones((len(slices), 4), bool)
    present[:, 1] = False
    told = replace(slices, ratings=None, texts=texts, present=present)
    assert evaluation_texts(told, [5], "median") == [[("It lies at 5.",)]]
    spoken = evaluation_texts(told, [5], "readers", samples=4)
    assert [text[0][1] for text in spoken] == ["Drawn by 0.", "Drawn by 2.", "Drawn by 3.", "Drawn by 0."]
    prompted = replace(slices, texts=texts)  # the papers' prompts beside ratings: lidc_full_prompt
    assert evaluation_texts(prompted, [5], "readers") == [[("It lies at 5.", "Drawn by 0.")]]
    assert evaluation_texts(prompted, [5], "median") == [[median_text(slices.ratings[5])]]


def test_data_without_descriptions_are_refused_but_for_the_text_that_says_nothing(slices):
    mute = replace(slices, ratings=None, texts=None)
    assert evaluation_texts(mute, [0], "neutral") == [[NEUTRAL]]
    for kind in ("median", "other", "readers"):
        with pytest.raises(DataError, match="no descriptions"):
            evaluation_texts(mute, [0], kind)


def test_texts_reach_a_batch_beside_their_masks_and_other_data_have_none(slices):
    described = replace(slices, texts=describe_slices(slices))
    source = BatchSource(described, Frame(), EXPERTS, batch_size=5, window=32)
    batch = source.batch(3)
    assert [list(who) for who in batch.texts] == [list(described.texts[row]) for row in batch.ids.tolist()]
    assert batch.to("cpu").texts == batch.texts
    assert BatchSource(slices, Frame(), EXPERTS, batch_size=5, window=32).batch(3).texts is None


def test_a_rater_who_stands_in_for_an_absent_one_brings_text_and_mask(slices):
    present = np.zeros((len(slices), 4), bool)
    present[:, 2] = True
    source = BatchSource(
        replace(slices, texts=describe_slices(slices), present=present), Frame(), EXPERTS, batch_size=5, window=48
    )
    batch = source.batch(0)
    for row, texts, masks in zip(batch.ids.tolist(), batch.texts, batch.masks):
        assert set(texts) == {source.slices.texts[row, 2]}
        assert (masks == masks[:1]).all()


def test_the_described_data_set_keeps_every_empty_mask_as_an_opinion(tmp_path):
    data = load_lidc_described(write_phantom(tmp_path), (0,))
    assert data.slices.present is None
    assert data.slices.texts.shape == (len(data.slices), 4)
    one = data.rows(np.array([2, 0]))
    assert one.slices.texts.shape == (2, 4)


def test_the_papers_full_prompt_gives_the_answer_away_and_only_where_there_is_one(slices):
    prompts = full_prompts(slices, np.full(len(slices), 2.0))
    drew = slices.lesion_areas_px > 0
    for row, reader in np.ndindex(prompts.shape):
        assert any("bbox" in sentence for sentence in prompts[row, reader]) == drew[row, reader]
    said = " ".join(prompts[0, 0])
    rows = slices.lesion == slices.lesion[0]
    volume = slices.areas_px[rows, 0].sum() * slices.spacing_mm[0] ** 2 * 2.0
    assert f"The volume mm^3 is {volume:.2f}." in said
    assert "The slice indices is [0-2]." in said


def test_statements_are_found_in_any_spelling_and_the_rest_stays():
    assert split_statements("generous; the texture is SOLID/MIXED. please") == (
        ("The Texture is Solid/Mixed.",),
        "generous; please",
    )
    assert split_statements("The Texture is Solid") == (("The Texture is Solid.",), "")
    assert split_statements("Texture: solid; internal structure is soft tissue") == (
        ("The Texture is Solid.", "The InternalStructure is Soft Tissue."),
        "",
    )
    assert split_statements("the margin is generous") == ((), "the margin is generous")
    assert split_statements("tight, solid core only") == ((), "tight, solid core only")
    for name, terms in LIDC_TERMS.items():
        for rating in range(1, len(terms) + 1):
            assert split_statements(statement(name, rating)) == ((statement(name, rating),), "")
