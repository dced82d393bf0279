"""The preference knob of an aligned model, kept in a file: 0 draws as its reference did, 1 as alignment left it.

    python Training/prefer.py runs/diff_dpo_compact 0.5 --out half.safetensors

Weights of the denoiser are interpolated when samples are drawn; the file holds both ends, so the knob can be turned again.
In Python: `method.preference = 0.5`. How figures change along it: evaluate_diffusion.py --preference 0 0.25 0.5 0.75 1.
"""

import argparse
import dataclasses
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from MultiRaterSegLib.errors import MultiRaterSegError, UnsupportedRequest


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model", help="an aligned model: by name, a .safetensors file or a run folder")
    parser.add_argument("preference", type=float, help="0 to 1")
    parser.add_argument("--out", type=Path, required=True, help="the .safetensors file to write")
    options = parser.parse_args(arguments)
    try:
        prefer(options.model, options.preference, options.out)
    except MultiRaterSegError as error:
        print(f"prefer.py: {error}", file=sys.stderr)
        return 2
    print(f"Written to {options.out}")
    return 0


def prefer(model: str | Path, preference: float, out: Path) -> Path:
    """Writes the model with another preference. Raises UnsupportedRequest for a model that is not aligned."""
    from MultiRaterSegLib.checkpoint import load_checkpoint, save_checkpoint

    checkpoint = load_checkpoint(model)
    method = checkpoint.method
    if not hasattr(method, "preference"):
        raise UnsupportedRequest(f"'{model}' is {method.title}, which has no reference to go back to.")
    if not 0 <= preference <= 1:
        raise UnsupportedRequest(f"The preference is {preference}. Give 0 (the reference) to 1 (the aligned model).")
    method.config = dataclasses.replace(method.config, preference=preference)
    about = {name: value for name, value in checkpoint.info.items() if name not in ("config", "method")}
    return save_checkpoint(out, method, checkpoint.frame, about)


if __name__ == "__main__":
    raise SystemExit(main())
