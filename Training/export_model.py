"""A trained model as the file that is handed on: with other defaults for sampling, or without what another model's file holds.

    python Training/export_model.py runs/ambiguous_text_diff_compact --steps 10 --out Resources/Models/NAME.safetensors
    python Training/export_model.py runs/diff_dpo_compact --share ambiguous_text_diff_compact --out NAME.safetensors
    python Training/export_model.py runs/diff_dpo_compact --preference 0.5 --out half.safetensors

The weights stay as they are. --steps, --guidance and --preference are what the model draws with unless somebody asks for
another number. --preference is the knob of an aligned model: 0 draws as its reference did, 1 as alignment left it; the file
holds both ends, so whoever uses it can turn it again. --share leaves out every tensor that the other model's file holds with
the same values; both files must then lie in one folder, or the other be installed.
"""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from Training.command import command_parser, run_command


def main(arguments: list[str] | None = None) -> int:
    parser = command_parser(__file__, __doc__)
    parser.add_argument("model", help="a model by name, a .safetensors file or a run folder")
    parser.add_argument("--steps", type=int, help="network evaluations of a sample")
    parser.add_argument(
        "--guidance", type=float, help="how far text is followed beyond what was trained; 1: as trained"
    )
    parser.add_argument("--preference", type=float, help="of an aligned model, 0 to 1")
    parser.add_argument("--share", metavar="MODEL", help="a model whose file holds the rest of the weights")
    parser.add_argument("--out", type=Path, required=True, help="the .safetensors file to write")
    return run_command(parser, lambda options: export(**vars(options)), arguments)


def export(
    model: str | Path,
    out: Path,
    steps: int | None = None,
    guidance: float | None = None,
    preference: float | None = None,
    share: str | Path | None = None,
) -> str:
    """Writes the file; returns what to say of it. Raises DataError or UnsupportedRequest for what the model does not have."""
    from MultiRaterSegLib.checkpoint import load_checkpoint, save_checkpoint
    from MultiRaterSegLib.errors import DataError
    from MultiRaterSegLib.model_file import find_model, sha256_of
    from Training.diffusion_settings import Setting, adjusted

    if share is not None and (other := find_model(share)).stem == "best":
        raise DataError(
            f"'{other}' is called as every run's file is, so the new file could not say which one it needs. Export it under "
            "a name of its own first, and share with that."
        )
    checkpoint = load_checkpoint(model)
    method = adjusted(checkpoint.method, Setting(steps=steps, guidance=guidance, preference=preference))
    kept = ("config", "method", "shared")
    about = {name: value for name, value in checkpoint.info.items() if name not in kept}
    save_checkpoint(out, method, checkpoint.frame, about, shares=share)
    parameters = sum(parameter.numel() for parameter in method.parameters()) / 1e6
    size = Path(out).stat().st_size / 1e6
    beside = f"; it needs {find_model(share).name} beside it" if share is not None else ""
    return f"{out}: {parameters:.1f} million parameters, {size:.1f} MB, SHA-256 {sha256_of(out)}{beside}"


if __name__ == "__main__":
    raise SystemExit(main())
