"""Style words as measured: morphology against SciPy, and each target has more or less of what it is named for."""

import numpy as np
import pytest
import torch
from scipy import ndimage

from MultiRaterSegLib import style_targets
from MultiRaterSegLib.style_targets import (
    change,
    regions,
    rim_share,
    roughness,
    smoothed,
    with_halo,
    with_strands,
    without_halo,
)


def part_solid(size: int = 64) -> tuple[torch.Tensor, torch.Tensor]:
    """A solid core (r 6) in a hazy rim (r 12) with one strand to the right, and four readers from core to rim."""
    yy, xx = torch.meshgrid(torch.arange(size) - size / 2, torch.arange(size) - size / 2, indexing="ij")
    distance = (yy**2 + xx**2).sqrt()
    strand = (yy.abs() <= 1) & (xx > 0) & (xx < 17)
    image = torch.where(distance < 6.5, 1.0, torch.where(distance < 12, 0.45, 0.0))
    image = torch.where(strand & (distance >= 12), 0.8, image)
    masks = torch.stack([distance < radius for radius in (6, 8, 10, 12)]).float()
    return image[None], masks[None]


def disc(radius: float, size: int = 64) -> torch.Tensor:
    yy, xx = np.mgrid[:size, :size] - (size - 1) / 2
    return torch.from_numpy(np.hypot(yy, xx) < radius)


@pytest.mark.parametrize("radius", [1, 2, 5])
def test_dilation_and_opening_agree_with_scipy(radius):
    masks = torch.rand(3, 40, 40, generator=torch.Generator().manual_seed(radius)) > 0.9
    span = np.arange(-radius, radius + 1)
    structure = span[:, None] ** 2 + span[None] ** 2 <= radius**2 + 0.5
    for mask, ours in zip(masks, style_targets._dilate(masks, radius)):
        assert np.array_equal(ours.numpy(), ndimage.binary_dilation(mask.numpy(), structure))
    thick = style_targets._dilate(masks, 2)
    for mask, ours in zip(thick, style_targets._open(thick, radius)):
        framed = np.pad(mask.numpy(), 8, constant_values=True)  # beyond the plane counts as inside for an erosion
        expected = ndimage.binary_dilation(
            ndimage.binary_erosion(framed, structure, border_value=1)[8:-8, 8:-8], structure
        )
        assert np.array_equal(ours.numpy(), expected)


def test_the_rim_is_the_hazy_part_and_not_the_core_or_the_lung():
    image, masks = part_solid()
    rim = regions(image, masks).rim[0]
    distance = (~disc(6.5)).numpy() & disc(12).numpy()
    assert (rim.numpy() & distance).sum() / rim.sum() > 0.9
    assert rim.sum() > 0.8 * distance.sum() * 0.8


def test_halo_words_change_the_rim_and_leave_the_core():
    image, masks = part_solid()
    found = regions(image, masks)
    more, less = with_halo(found.majority, found), without_halo(found.majority, found)
    assert rim_share(more, found.rim) == 1
    assert rim_share(less, found.rim) == 0
    assert (less & disc(5)).sum() == disc(5).sum()


def test_strands_are_found_and_make_the_outline_rougher():
    image, masks = part_solid()
    found = regions(image, masks)
    assert found.strands[0, 31:34, 45:48].any()
    assert roughness(with_strands(found.majority, found)) > roughness(found.majority)


def test_a_strand_is_joined_to_the_outline_that_it_leaves_and_to_no_other():
    image, masks = part_solid()
    found = regions(image, masks)
    spiky = with_strands(found.majority, found)[0]
    assert spiky[31:34, 45:48].any()
    assert ndimage.label(spiky.numpy(), np.ones((3, 3)))[1] == 1  # no island
    far = disc(4)[None]
    assert torch.equal(with_strands(far, found), far)


def test_smoothing_keeps_the_area_and_rounds_the_outline():
    generator = torch.Generator().manual_seed(0)
    ragged = disc(10)[None] & (torch.rand(1, 64, 64, generator=generator) > 0.25)
    round_ = smoothed(ragged)
    assert abs(int(round_.sum()) - int(ragged.sum())) <= 4
    assert roughness(round_) < roughness(ragged)
    assert not smoothed(torch.zeros(1, 64, 64, dtype=torch.bool)).any()


def test_roughness_is_one_for_discs_of_any_size_and_grows_with_irregularity():
    for radius in (6, 10, 20):
        assert float(roughness(disc(radius))) == pytest.approx(1, abs=0.06)
    square = torch.zeros(64, 64, dtype=torch.bool)
    square[20:44, 20:44] = True
    bar = torch.zeros(64, 64, dtype=torch.bool)
    bar[30:34, 4:60] = True
    assert float(roughness(disc(12))) < float(roughness(square)) < float(roughness(bar))
    assert float(roughness(square)) == pytest.approx(4 / np.pi, rel=0.1)


def test_change_has_the_sign_of_what_each_word_asks_for():
    image, masks = part_solid()
    found = regions(image, masks)
    core, whole = without_halo(found.majority, found).float(), with_halo(found.majority, found).float()
    spiky, round_ = with_strands(found.majority, found).float(), smoothed(found.majority).float()
    for slot, less, more in (("extent", core, whole), ("halo", core, whole), ("spiculation", round_, spiky)):
        forth, counts = change(slot, less, more, found.rim)
        back, _ = change(slot, more, less, found.rim)
        assert counts.all()
        assert forth > 0.02
        assert back == pytest.approx(-float(forth))


def test_change_does_not_count_where_there_is_nothing_to_compare():
    empty, dot = torch.zeros(1, 16, 16), torch.zeros(1, 16, 16)
    dot[0, 8, 8] = 1
    for slot in ("extent", "halo", "spiculation"):
        _, counts = change(slot, empty, dot, empty)
        assert not counts.any(), slot
