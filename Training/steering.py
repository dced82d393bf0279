"""Measures what sentences and sliders do to contours, slice by slice."""

from collections.abc import Iterator, Sequence

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from MultiRaterSegLib.checkpoint import Checkpoint
from MultiRaterSegLib.errors import UnsupportedRequest
from MultiRaterSegLib.method import Batch
from MultiRaterSegLib.noise import Noise
from MultiRaterSegLib.style_targets import MIN_RIM_PIXELS, Regions, regions, rim_share, roughness

from .data.slices import Slices
from .validation import plain_batches

FINER = 4
"""Contours are drawn on a grid this much finer than the frame."""

SLIDER_STEPS = 11
ENDS = ("conservative", "inclusive")
HALO, GENEROUS = "include the ground-glass halo", "generous margins"


@torch.inference_mode()
def measure_pairs(
    checkpoint: Checkpoint, slices: Slices, rows: np.ndarray, pairs: Sequence[dict], samples: int
) -> dict:
    """{"by_property": {name: {"pairs", "cases", "right"}}, "by_pair": [...], "refused": [sentences]}."""
    method = checkpoint.method
    sentences = [pair[side] for pair in pairs for side in ("less", "more")]
    styles, refused = _styles(method, sentences)
    measured = {sentence: {} for sentence in styles}
    for batch, ids, encoded, found in _encoded(checkpoint, slices, rows):
        cache = {}
        for sentence, style in styles.items():
            key = style.numpy().tobytes()  # paraphrases share a style: draw it once
            if key not in cache:
                cache[key] = _properties(_contours(method, encoded, ids, style, samples), found)
            for name, values in cache[key].items():
                measured[sentence].setdefault(name, []).append(values)
    measured = {s: {name: torch.cat(parts) for name, parts in m.items()} for s, m in measured.items()}
    rows_of_pairs = []
    for pair in pairs:
        name = pair["property"]
        if pair["less"] in measured and pair["more"] in measured:
            moved = measured[pair["more"]][name] - measured[pair["less"]][name]
            counted = ~torch.isnan(moved)
            right = float((moved[counted] > 0).float().mean())
        else:  # a refused sentence moves nothing
            counted, right = torch.ones(len(rows), dtype=torch.bool), 0.0
        rows_of_pairs.append({**pair, "cases": int(counted.sum()), "right": right})
    summary = {}
    for name in dict.fromkeys(pair["property"] for pair in pairs):
        mine = [row for row in rows_of_pairs if row["property"] == name]
        summary[name] = _pooled(mine)
    return {"by_property": {**summary, "all": _pooled(rows_of_pairs)}, "by_pair": rows_of_pairs, "refused": refused}


@torch.inference_mode()
def measure_slider(checkpoint: Checkpoint, slices: Slices, rows: np.ndarray, samples: int) -> dict:
    """Areas along the slider between ENDS, against the readers' A1-A4 range; and where halo differs from generous."""
    method = checkpoint.method
    a, b = (method.expert_style(None, method.expert_index(name)) for name in ENDS)
    steps = [method.interpolate(a, b, float(t)) for t in np.linspace(0, 1, SLIDER_STEPS)]
    areas, readers, rim_of = [], [], {HALO: [], GENEROUS: []}
    for batch, ids, encoded, found in _encoded(checkpoint, slices, rows):
        masks = [_contours(method, encoded, ids, style, samples) for style in steps]
        areas.append(torch.stack([mask.sum((1, 2)) for mask in masks]) / FINER**2)
        drawn = batch.masks.sum((2, 3))
        readers.append(drawn.amax(1) - drawn.amin(1))
        rim = _finer(found.rim)
        plain = _contours(method, encoded, ids, method.interpolate(a, b, 0.5), samples)
        for sentence, shares in rim_of.items():
            added = _contours(method, encoded, ids, method.prompt_style(encoded, sentence), samples) & ~plain
            shares.append(torch.stack([(added & rim).sum((1, 2)), added.sum((1, 2))]))
    area, readers = torch.cat(areas, 1), torch.cat(readers)
    span = area[-1] - area[0]
    shrink = (area.cummax(0).values - area).amax(0)
    rim_shares = {s: torch.cat(parts, 1).sum(1) for s, parts in rim_of.items()}
    return {
        "monotone": float((shrink <= 0.01 * span.clamp(min=0)).float().mean()),
        "range_share": float(span.sum() / readers.sum()),
        "median_range_share": float((span / readers.clamp(min=1)).median()),
        "halo_sentence": HALO,
        "extent_sentence": GENEROUS,
        "rim_of_halo": float(rim_shares[HALO][0] / rim_shares[HALO][1].clamp(min=1)),
        "rim_of_extent": float(rim_shares[GENEROUS][0] / rim_shares[GENEROUS][1].clamp(min=1)),
    }


def _styles(method, sentences: Sequence[str]) -> tuple[dict[str, Tensor], list[str]]:
    styles, refused = {}, []
    for sentence in dict.fromkeys(sentences):
        try:
            styles[sentence] = method.prompt_style(None, sentence)
        except UnsupportedRequest:
            refused.append(sentence)
    return styles, refused


def _encoded(
    checkpoint: Checkpoint, slices: Slices, rows: np.ndarray
) -> Iterator[tuple[Batch, list[int], object, Regions]]:
    for batch, ids in plain_batches(slices, rows, checkpoint.frame, checkpoint.method):
        yield batch, ids, checkpoint.method.encode(batch.image), regions(batch.image[:, 0], batch.masks)


def _contours(method, encoded, ids: list[int], style: Tensor, samples: int) -> Tensor:
    """bool [B, FINER*H, FINER*W]: the mean probability of a style's samples, cut at 0.5 on a finer grid."""
    mean = method.sample(encoded, Noise(0, samples=samples, images=ids), style)[:, :, 1].mean(0)
    return F.interpolate(mean[:, None], scale_factor=FINER, mode="bilinear", align_corners=False)[:, 0] > 0.5


def _properties(mask: Tensor, found: Regions) -> dict[str, Tensor]:
    """Each property [B]; NaN where it cannot be measured (no rim, or no outline to be rough)."""
    nothing = mask.new_full((len(mask),), float("nan"), dtype=torch.float32)
    has_rim = found.rim.sum((1, 2)) >= MIN_RIM_PIXELS
    drawn = mask.any(-1).any(-1)
    return {
        "extent": mask.sum((1, 2)).float(),
        "rim": torch.where(has_rim, rim_share(mask, _finer(found.rim)), nothing),
        "roughness": torch.where(drawn, roughness(mask), nothing),
    }


def _finer(mask: Tensor) -> Tensor:
    return mask.repeat_interleave(FINER, 1).repeat_interleave(FINER, 2)


def _pooled(rows: list[dict]) -> dict:
    cases = sum(row["cases"] for row in rows)
    right = sum(row["right"] * row["cases"] for row in rows) / max(1, cases)
    return {"pairs": len(rows), "cases": cases, "right": right}
