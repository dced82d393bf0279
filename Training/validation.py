"""A quick score on the inner validation patients, in the frame's own pixels. The figures of the tables come from evaluate.py."""

from collections.abc import Iterator

import numpy as np
import torch
from torch import Tensor

from MultiRaterSegLib.frame import Frame
from MultiRaterSegLib.method import Batch, Method
from MultiRaterSegLib.noise import Noise

from .data.batches import expert_targets, to_frame
from .data.slices import Slices

SAMPLES = 10
BATCH = 32


@torch.no_grad()
def validation_score(
    method: Method, frame: Frame, slices: Slices, judged_by: str, limit: int = 600
) -> dict[str, float]:
    """{"ged", "dice_soft", "expert_dice", "score"} over slices that all raters outlined (all slices if there are none).

    GED with 1-IoU over all pairs; expert Dice is the diagonal, mean over slice-area experts. Higher scores are better.
    """
    group = [i for i, expert in enumerate(method.experts) if expert.ranked_by == "slice_area"]
    group = group or list(range(len(method.experts)))
    rows = slices.subset("four")
    rows = rows if len(rows) else slices.subset("all")
    rows = rows[:: max(1, len(rows) // limit)]
    collected = []
    for batch, ids in plain_batches(slices, rows, frame, method):
        encoded = method.encode(batch.image)
        samples = method.sample(encoded, Noise(0, samples=range(SAMPLES), images=ids))[:, :, 1] > 0.5
        row = {"ged": _ged(samples, batch.masks > 0.5), "dice_soft": _dice_soft(samples, batch.masks > 0.5)}
        if judged_by == "experts":
            row["expert_dice"] = torch.stack([_expert_dice(method, encoded, e, batch, ids) for e in group]).mean(0)
        collected.append(row)
    scores = {name: float(torch.cat([row[name] for row in collected]).mean()) for name in collected[0]}
    scores["score"] = scores["dice_soft"] - scores["ged"] + scores.get("expert_dice", 0.0)
    return scores


def plain_batches(slices: Slices, rows: np.ndarray, frame: Frame, method: Method) -> Iterator[tuple[Batch, list[int]]]:
    """Unaugmented batches of the given rows in the frame, with the rows' numbers."""
    device = next(method.parameters()).device
    for start in range(0, len(rows), BATCH):
        chosen = rows[start : start + BATCH]
        planes = np.concatenate([slices.images[chosen][:, None], slices.masks(chosen)], 1).astype(np.float32)
        crop_mm = slices.images.shape[-1] * slices.spacing_mm[chosen]
        theta = np.zeros((len(chosen), 2, 3), np.float32)
        theta[:, 0, 0] = theta[:, 1, 1] = frame.field_of_view_mm / crop_mm
        planes = to_frame(torch.from_numpy(planes), theta, frame.size)
        image, masks = frame.normalize(planes[:, :1]), (planes[:, 1:] > 0.5).float()
        targets = expert_targets(slices, chosen, method.experts)
        yield Batch(image, masks, targets, torch.from_numpy(chosen)).to(device), chosen.tolist()


def _expert_dice(method: Method, encoded, expert: int, batch: Batch, ids: list[int]) -> Tensor:
    style = method.expert_style(encoded, expert)
    mask = method.sample(encoded, Noise(0, samples=range(2), images=ids), style)[:, :, 1].mean(0) > 0.5
    truth = batch.masks[torch.arange(len(ids)), batch.targets[method.experts[expert].name]] > 0.5
    overlap = 2 * (mask & truth).sum((1, 2)) / (mask.sum((1, 2)) + truth.sum((1, 2))).clamp(min=1)
    return torch.where(mask.any(-1).any(-1) | truth.any(-1).any(-1), overlap, torch.ones_like(overlap))


def _distances(a: Tensor, b: Tensor) -> Tensor:
    """1 - IoU of [N, B, P] and [M, B, P] bool -> [B, N, M]; both empty: 0."""
    a, b = a.float().movedim(0, 1), b.float().movedim(0, 1)
    overlap = a @ b.transpose(1, 2)
    union = a.sum(-1)[:, :, None] + b.sum(-1)[:, None] - overlap
    return torch.where(union > 0, 1 - overlap / union.clamp(min=1), torch.zeros_like(union))


def _ged(samples: Tensor, masks: Tensor) -> Tensor:
    s, m = samples.flatten(2), masks.movedim(1, 0).flatten(2)
    return 2 * _distances(s, m).mean((1, 2)) - _distances(s, s).mean((1, 2)) - _distances(m, m).mean((1, 2))


def _dice_soft(samples: Tensor, masks: Tensor) -> Tensor:
    p, t = samples.float().mean(0), masks.float().mean(1)
    rows = []
    for level in (0.1, 0.3, 0.5, 0.7, 0.9):
        a, b = p > level, t > level
        rows.append((2 * (a & b).sum((1, 2)) + 1e-8) / (a.sum((1, 2)) + b.sum((1, 2)) + 1e-8))
    return torch.stack(rows).mean(0)
