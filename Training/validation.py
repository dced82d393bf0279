"""A quick score on the inner validation patients, in the frame's own pixels. The figures of the tables come from evaluate.py."""

from collections.abc import Iterator

import numpy as np
import torch
from torch import Tensor

from MultiRaterSegLib.frame import Frame
from MultiRaterSegLib.method import Batch, Method
from MultiRaterSegLib.metrics import Pairs, dice_each, dice_soft, ged
from MultiRaterSegLib.noise import Noise

from .data.batches import expert_targets, to_frame
from .data.slices import Slices
from .slice_predictions import draw_lesion

SAMPLES = 10
BATCH = 32


@torch.no_grad()
def validation_score(
    method: Method, frame: Frame, slices: Slices, judged_by: str, limit: int = 600
) -> dict[str, float]:
    """{"ged", "dice_soft", "expert_dice", "score"} over slices that all raters outlined (all slices if there are none).

    GED with 1-IoU over all pairs; expert Dice is the diagonal, mean over slice-area experts (over all experts where
    there are none). Higher scores are better.
    """
    group = [i for i, expert in enumerate(method.experts) if expert.ranked_by == "slice_area"]
    group = group or list(range(len(method.experts)))
    rows = slices.subset("four")
    rows = rows if len(rows) else slices.subset("all")
    rows = rows[:: max(1, len(rows) // limit)]
    found: dict[str, list[float]] = {}
    for batch, ids in plain_batches(slices, rows, frame, method):
        encoded = method.encode(batch.image)
        drawn = draw_lesion(method, encoded, Noise(0, samples=SAMPLES, images=ids), None).cpu() > 0.5
        masks = batch.masks.cpu() > 0.5
        for i in range(len(ids)):
            found.setdefault("ged", []).append(ged(Pairs.of(drawn[:, i], masks[i])))
            found.setdefault("dice_soft", []).append(dice_soft(drawn[:, i], masks[i]))
        if judged_by == "experts":
            experts, targets = _expert_masks(method, encoded, group, batch, ids)
            for i in range(len(ids)):
                found.setdefault("expert_dice", []).append(dice_each(Pairs.of(experts[:, i], targets[:, i])).mean())
    scores = {name: float(np.mean(values)) for name, values in found.items()}
    scores["score"] = scores["dice_soft"] - scores["ged"] + scores.get("expert_dice", 0.0)
    return scores


def _expert_masks(method: Method, encoded, group: list[int], batch: Batch, ids: list[int]) -> tuple[Tensor, Tensor]:
    """What each expert of the group draws and what they should draw: bool [E, B, H, W] twice."""
    noise = Noise(0, samples=2, images=ids)
    drawn = [method.sample(encoded, noise, method.expert_style(encoded, e))[:, :, 1].mean(0) > 0.5 for e in group]
    rows = torch.arange(len(ids))
    wanted = [batch.masks[rows, batch.targets[method.experts[e].name]] > 0.5 for e in group]
    return torch.stack(drawn).cpu(), torch.stack(wanted).cpu()


def plain_batches(slices: Slices, rows: np.ndarray, frame: Frame, method: Method) -> Iterator[tuple[Batch, list[int]]]:
    """Unaugmented batches of the given rows in the frame, with the rows' numbers."""
    device = next(method.parameters()).device
    for start in range(0, len(rows), BATCH):
        chosen = rows[start : start + BATCH]
        crop_mm = slices.images.shape[-1] * slices.spacing_mm[chosen]
        theta = np.zeros((len(chosen), 2, 3), np.float32)
        theta[:, 0, 0] = theta[:, 1, 1] = frame.field_of_view_mm / crop_mm
        planes, masks = torch.from_numpy(slices.planes(chosen)), torch.from_numpy(slices.masks(chosen)).float()
        image, masks = to_frame(planes, masks, theta, frame.size)
        image = frame.normalize(image.flatten(0, 1)[:, None]).view(image.shape)
        masks = (masks > 0.5).float()
        targets = expert_targets(slices, chosen, method.experts)
        yield Batch(image, masks, targets, torch.from_numpy(chosen)).to(device), chosen.tolist()
