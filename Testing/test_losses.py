"""Losses against their definitions, brute force and the properties that make them worth minimising."""

import itertools

import pytest
import torch
from torch.nn import functional as F

from MultiRaterSegLib.losses import (
    boundary_loss,
    dice_loss,
    energy_distance,
    jaccard_distance,
    marginal_loss,
    pairwise_contrast,
)


def square(side: int, size: int = 12) -> torch.Tensor:
    mask = torch.zeros(size, size)
    low = (size - side) // 2
    mask[low : low + side, low : low + side] = 1
    return mask


def test_jaccard_distance_is_one_minus_iou_on_masks():
    assert jaccard_distance(square(2), square(4), epsilon=0) == pytest.approx(1 - 4 / 16)
    assert jaccard_distance(square(0), square(0)) == pytest.approx(0)


def test_jaccard_distance_obeys_the_triangle_inequality_on_soft_maps():
    maps = torch.rand(12, 8, 8, generator=torch.Generator().manual_seed(0)) ** 3
    for a, b, c in itertools.permutations(maps, 3):
        assert jaccard_distance(a, c) <= jaccard_distance(a, b) + jaccard_distance(b, c) + 1e-6


def test_energy_distance_equals_the_double_sum():
    samples = torch.rand(5, 2, 6, 6, generator=torch.Generator().manual_seed(1))
    masks = (torch.rand(2, 3, 6, 6, generator=torch.Generator().manual_seed(2)) > 0.5).float()
    total = 0.0
    for b in range(2):
        across = [jaccard_distance(s, m) for s in samples[:, b] for m in masks[b]]
        among = [jaccard_distance(samples[i, b], samples[j, b]) for i in range(5) for j in range(5) if i != j]
        total += 2 * sum(across) / len(across) - sum(among) / len(among)
    assert energy_distance(samples, masks) == pytest.approx(float(total / 2), rel=1e-5)


def test_energy_distance_prefers_the_readers_spread_to_any_single_mask():
    masks = torch.stack([square(2), square(4), square(6), square(8)])[None]
    spread = torch.stack([square(2), square(4), square(6), square(8)])[:, None]
    for side in (2, 4, 6, 8):
        assert energy_distance(spread, masks) < energy_distance(square(side).expand(4, 1, 12, 12), masks)


def test_boundary_loss_is_zero_when_extremes_are_the_readers_union_and_intersection():
    masks = torch.stack([square(2), square(4), square(6), square(8)])[None]
    logits = 40 * torch.stack([square(2), square(8), square(4)])[:, None] - 20
    assert boundary_loss(logits, masks, cross_entropy_weight=10.0) == pytest.approx(0, abs=1e-6)
    assert boundary_loss(40 * square(4).expand(3, 1, 12, 12) - 20, masks) > 0.5


def test_boundary_loss_weighs_cross_entropy_as_other_segmentation_losses_do():
    torch.manual_seed(0)
    masks = torch.stack([square(2), square(4), square(6), square(8)])[None]
    logits = torch.randn(3, 1, 12, 12)
    added = boundary_loss(logits, masks, 10.0) - boundary_loss(logits, masks)
    inner, outer = logits.min(0).values, logits.max(0).values
    reference = F.binary_cross_entropy_with_logits
    by_hand = reference(inner, square(2)[None]) + reference(outer, square(8)[None])
    assert added == pytest.approx(float(10 * by_hand), rel=1e-5)


def test_an_empty_target_is_met_by_an_empty_prediction():
    assert dice_loss(torch.zeros(2, 8, 8), torch.zeros(2, 8, 8)) == pytest.approx(0, abs=1e-6)
    assert dice_loss(torch.ones(2, 8, 8), torch.zeros(2, 8, 8)) > 0.9


def test_pairwise_contrast_is_the_logistic_loss_of_cosines():
    vectors = torch.randn(4, 5, generator=torch.Generator().manual_seed(0))
    same = torch.tensor([[1, 1, 0, 0], [1, 1, 0, 0], [0, 0, 1, 0], [0, 0, 0, 1]])
    expected = 0.0
    for i, j in itertools.product(range(4), range(4)):
        logit = F.cosine_similarity(vectors[i], vectors[j], dim=0) / 0.2
        expected += F.binary_cross_entropy(logit.sigmoid(), same[i, j].float()) / 16
    assert pairwise_contrast(vectors, same, 0.2) == pytest.approx(float(expected), rel=1e-5)


def test_marginal_loss_is_least_where_the_samples_mean_is_the_share_of_readers():
    masks = torch.stack([square(2), square(4), square(6), square(8)])[None]
    share = masks.mean(1)
    best = marginal_loss(share[None], masks)
    other_spread = marginal_loss(masks[0][:, None], masks)  # other samples, the same mean
    assert other_spread == pytest.approx(float(best), abs=1e-6)
    for worse in (square(6), square(0), 0.5 * square(8), share.square()):
        assert marginal_loss(worse.reshape(1, 1, 12, 12), masks) > best + 0.01
