"""Losses that several methods share. Masks and probabilities are [..., H, W]; each loss is averaged over what is before."""

import torch
from monai.losses import DiceLoss
from torch import Tensor
from torch.nn import functional as F

_dice = DiceLoss(smooth_nr=1.0, smooth_dr=1.0, squared_pred=True, reduction="mean")


def dice_loss(probability: Tensor, target: Tensor) -> Tensor:
    """1 - soft Dice of each plane [..., H, W], averaged. An empty target is met by an empty prediction."""
    height, width = probability.shape[-2:]
    target = target.expand_as(probability)
    return _dice(probability.reshape(-1, 1, height, width), target.reshape(-1, 1, height, width))


def cross_entropy(logits: Tensor, target: Tensor) -> Tensor:
    """Mean binary cross-entropy of logits [..., H, W] with targets in [0, 1]."""
    return F.binary_cross_entropy_with_logits(logits, target.expand_as(logits))


def segmentation_loss(logits: Tensor, target: Tensor, cross_entropy_weight: float) -> Tensor:
    """Dice loss and weighted cross-entropy of logits [..., H, W] with targets in [0, 1]."""
    return dice_loss(logits.sigmoid(), target) + cross_entropy_weight * cross_entropy(logits, target)


def jaccard_distance(a: Tensor, b: Tensor, epsilon: float = 1.0) -> Tensor:
    """1 - sum(min)/sum(max) over the plane, [..., H, W] x [..., H, W] -> [...]: equals 1 - IoU on masks, a metric on
    [0, 1] maps (Ruzicka). `epsilon` pixels in both sums make the distance of two empty planes 0."""
    overlap = torch.minimum(a, b).sum((-2, -1)) + epsilon
    return 1 - overlap / (torch.maximum(a, b).sum((-2, -1)) + epsilon)


def energy_distance(samples: Tensor, masks: Tensor, epsilon: float = 1.0) -> Tensor:
    """Generalised energy distance of samples [S, B, H, W] to raters' masks [B, M, H, W], a differentiable scalar.

    2 E d(sample, mask) - E d(sample, sample'), d the soft Jaccard distance, distinct pairs of samples only (unbiased);
    the raters' own term does not depend on the model and is left out. Minimal when samples are drawn as the raters are.
    """
    masks = masks.movedim(1, 0)  # [M, B, H, W]
    to_masks = jaccard_distance(samples[:, None], masks[None], epsilon).mean()
    count = len(samples)
    first, second = torch.triu_indices(count, count, 1, device=samples.device)
    among = jaccard_distance(samples[first], samples[second], epsilon).mean() if count > 1 else 0.0
    return 2 * to_masks - among


def marginal_loss(samples: Tensor, masks: Tensor) -> Tensor:
    """How far the samples' mean [S, B, H, W] -> [B, H, W] is from the share of raters [B, M, H, W] that include a pixel.

    Soft Dice and cross-entropy (both least where the two are equal), weighted as the losses of single masks are.
    """
    mean, share = samples.mean(0), masks.mean(1)
    return dice_loss(mean, share) + 10 * F.binary_cross_entropy(mean.clamp(1e-6, 1 - 1e-6), share)


def boundary_loss(logits: Tensor, masks: Tensor, cross_entropy_weight: float = 0.0) -> Tensor:
    """L_bound (ProSona section 2.1; D-Persona): the loss of the samples' intersection and union with the raters'.

    logits [S, B, H, W] of the samples: their pixelwise minimum and maximum. masks [B, M, H, W] in {0, 1}.
    """
    inner = segmentation_loss(logits.amin(0), masks.amin(1), cross_entropy_weight)
    outer = segmentation_loss(logits.amax(0), masks.amax(1), cross_entropy_weight)
    return inner + outer


def pairwise_contrast(vectors: Tensor, same: Tensor, temperature: float) -> Tensor:
    """BCE between the cosines of P vectors [..., P, d], divided by the temperature, and who belongs together.

    ProSona section 2.3, L_text and L_sim: `same` [P, P] in {0, 1} is the mask M; read as BCE with logits.
    """
    unit = F.normalize(vectors, dim=-1)
    logits = unit @ unit.transpose(-1, -2) / temperature
    return F.binary_cross_entropy_with_logits(logits, same.to(logits).expand_as(logits))
