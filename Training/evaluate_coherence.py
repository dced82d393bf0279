"""Is a sample one reader? How alike its outlines are on neighbouring slices, and whether batches change them.

    python Training/evaluate_coherence.py prosona_compact --data fold2.npz --every 5
    python Training/evaluate_coherence.py runs/diffoseg_compact --validation-of diffoseg_compact --samples 8 --steps 10

Pairs of neighbouring slices of a nodule (of the chosen subset, every K-th pair) are drawn with the noise shared along them,
as a volume's are, and with noise of their own; likeness is the Dice of a sample's two masks, in the frame's pixels. The
readers' own masks are set beside it. Every pair is drawn a second time slice by slice: the share of pixels that stay.
Prints one table with 95 % intervals over patients and writes it to coherence.md in --out.
"""

import argparse
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from Training.command import positive
from Training.evaluation_options import run_on_slices, slice_options


def main(arguments: list[str] | None = None) -> int:
    return run_on_slices(_parser(), run, arguments)


def run(options: argparse.Namespace) -> str:
    """Measures, writes the table and returns it."""
    import numpy as np  # after --help: these import torch

    from MultiRaterSegLib.checkpoint import load_checkpoint
    from MultiRaterSegLib.knobs import Knobs
    from MultiRaterSegLib.predictor import choose_device
    from Training.bootstrap import mean_estimate, paired_difference
    from Training.chosen_slices import choose_rows, data_names, load_slices, subset_words
    from Training.evaluation_run import model_name
    from Training.markdown_table import cell, table

    checkpoint = load_checkpoint(options.model, choose_device(options.device))
    checkpoint.method.use(Knobs(options.steps, options.preference))
    slices = load_slices(options)
    pairs = neighbours(slices, choose_rows(slices, options))[:: options.every]
    measured = [pair_likeness(checkpoint, slices, pair, options.samples, options.seed) for pair in pairs]
    patient = slices.patient[[first for first, _ in pairs]]
    shared, apart, readers, kept = (np.array(column) for column in zip(*measured))
    rows = [
        ["a sample's masks on neighbouring slices", "Dice"],
        ["noise shared along the slices", cell(mean_estimate(shared, patient), True)],
        ["noise of each slice's own", cell(mean_estimate(apart, patient), True)],
        ["shared minus own, paired", cell(paired_difference(shared, apart, patient), True, signed=True)],
        ["the readers' own masks", cell(mean_estimate(readers, patient), True)],
        ["pixels alike when drawn slice by slice", cell(mean_estimate(kept, patient), True)],
    ]
    words = f"{', '.join(data_names(options))}, {subset_words(options, 'pair')}"
    steps = checkpoint.method.steps
    note = f"{options.samples} samples; in brackets 95 % intervals over patients." + (
        f" {steps} steps." if steps else ""
    )
    text = "\n".join(table(f"{model_name(checkpoint)} on {words}: {len(pairs)} pairs of slices", rows, note))
    options.out.mkdir(parents=True, exist_ok=True)
    (options.out / "coherence.md").write_text(text)
    return f"{text}\nWritten to {options.out}"


def neighbours(slices, rows) -> list[tuple[int, int]]:
    """Rows whose slices follow one another in the same nodule."""
    place = {(slices.patient[row], int(slices.nodule[row]), int(slices.slice_index[row])): int(row) for row in rows}
    return [
        (row, place[patient, nodule, k + 1])
        for (patient, nodule, k), row in place.items()
        if (patient, nodule, k + 1) in place
    ]


def pair_likeness(checkpoint, slices, pair: tuple[int, int], samples: int, seed: int) -> tuple[float, ...]:
    """(Dice with shared noise, with noise of their own, of the readers' masks, share of pixels alike slice by slice)."""
    import torch

    from MultiRaterSegLib.noise import Noise
    from Training.slice_predictions import frame_image, native_grid

    method, frame = checkpoint.method, checkpoint.frame
    device = next(method.parameters()).device
    images = torch.stack([frame_image(slices.planes([row])[0], native_grid(slices, row), frame) for row in pair]).to(
        device
    )

    def masks(image, noise: Noise):
        return method.sample(method.encode(image), noise)[:, :, 1] > 0.5  # [S, B, H, W]

    with torch.inference_mode():
        shared = masks(images, Noise(seed, samples=samples))
        apart = masks(images, Noise(seed, samples=samples, images=pair))
        single = torch.cat([masks(image[None], Noise(seed, samples=samples)) for image in images], 1)
    drawn = torch.from_numpy(slices.masks(list(pair))).movedim(0, 1)  # [M, 2, H, W]
    return likeness(shared), likeness(apart), likeness(drawn), (shared == single).float().mean().item()


def likeness(masks) -> float:
    """Mean over samples of the Dice of masks [S, 2, H, W] with each other; 1 where both are empty."""
    import torch

    first, second = masks.unbind(1)
    overlap, total = (first & second).sum((1, 2)), first.sum((1, 2)) + second.sum((1, 2))
    return torch.where(total > 0, 2 * overlap / total.clamp(min=1), 1.0).mean().item()


def _parser() -> argparse.ArgumentParser:
    parser = slice_options(__file__, __doc__, "pair of slices")
    parser.add_argument("model", help="a model's name, a .safetensors file or a run folder")
    parser.add_argument("--steps", type=positive, metavar="N", help="evaluations a sample (default: the model's own)")
    parser.add_argument("--preference", type=float, metavar="0..1", help="of an aligned model (default: its own)")
    parser.add_argument("--samples", type=positive, default=8, metavar="N")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--device", default="auto", help="auto, cpu, cuda, ...")
    parser.add_argument("--out", type=Path, default=Path("runs/coherence"))
    return parser


if __name__ == "__main__":
    raise SystemExit(main())
