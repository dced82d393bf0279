"""The training sentences mean what their file says."""

from collections import Counter

import pytest

from MultiRaterSegLib.text import WordsEncoder, opposites, training_prompts

PROMPTS = training_prompts()
READERS = ("conservative", "fairly_conservative", "fairly_inclusive", "inclusive", "A1", "A2", "A3", "A4")


@pytest.mark.parametrize("prompt", PROMPTS, ids=lambda prompt: prompt.text)
def test_parser_reads_a_training_sentence_as_its_file_says(prompt):
    understanding = WordsEncoder().understand(prompt.text)
    assert understanding.slots == prompt.slots
    assert understanding.not_understood == ()


def test_every_reader_style_has_eight_paraphrases_or_more():
    counts = Counter(prompt.expert for prompt in PROMPTS)
    assert all(counts[reader] >= 8 for reader in READERS)
    assert len(PROMPTS) >= 150
    assert len({prompt.text.lower() for prompt in PROMPTS}) == len(PROMPTS)


@pytest.mark.parametrize("phrase", ["conservative mask", "inclusive segmentation", "conservative radiologist"])
def test_the_papers_own_prompts_are_among_them(phrase):
    assert any(prompt.text == phrase and prompt.expert for prompt in PROMPTS)


@pytest.mark.parametrize(("reader", "extent"), zip(READERS, (-1, -1 / 3, 1 / 3, 1) * 2))
def test_first_sentence_of_a_reader_states_its_extent_and_nothing_else(reader, extent):
    canonical = next(prompt for prompt in PROMPTS if prompt.expert == reader)
    assert canonical.slots.said == {"extent": extent}
    assert canonical.slots.per_slice == reader.startswith("A")


@pytest.mark.parametrize("slot", ["extent", "halo", "spiculation"])
def test_opposites_differ_in_the_sign_of_one_slot_only(slot):
    found = opposites(PROMPTS, slot)
    for less, more in found:
        for i in less:
            for j in more:
                a, b = PROMPTS[i].slots.vector(), PROMPTS[j].slots.vector()
                assert getattr(PROMPTS[i].slots, slot) < 0 < getattr(PROMPTS[j].slots, slot)
                assert [abs(value) for value in a] == [abs(value) for value in b]
    texts = {(PROMPTS[i].text, PROMPTS[j].text) for less, more in found for i in less for j in more}
    expected = {
        "extent": ("tight outline", "generous outline"),
        "halo": ("leave out the halo", "include the halo"),
        "spiculation": ("smooth outline", "include the spiculations"),
    }
    assert expected[slot] in texts or len(texts) >= 20
