"""The frozen text tower of CLIP, as ProSona uses it: from a transformers folder or from an open_clip checkpoint.

The paper does not say which CLIP. Without a path this is ViT-B/32 of OpenAI from the Hugging Face cache.
"""

import json
from pathlib import Path

from torch import Tensor

from ..errors import TextEncoderError
from .frozen import FrozenTextEncoder, cached_folder, loading, optional_package, require_all_weights, weights_in

REPOSITORY = "openai/clip-vit-base-patch32"
OPEN_CLIP_CONFIG = "open_clip_config.json"
OPEN_CLIP_WEIGHTS = (
    "open_clip_model.safetensors",
    "open_clip_pytorch_model.safetensors",
    "open_clip_pytorch_model.bin",
    "model.safetensors",
    "pytorch_model.bin",
)
ACCEPTED = (
    "a transformers folder (config.json, model.safetensors, tokenizer files), an open_clip folder"
    f" ({OPEN_CLIP_CONFIG} with its weights) or 'ARCHITECTURE:FILE' for a single open_clip checkpoint, for example"
    " 'ViT-B-32:weights/model.safetensors'"
)


def load_clip(path: str | None = None) -> FrozenTextEncoder:
    """path: see ACCEPTED; None: REPOSITORY from the Hugging Face cache. No network in any case."""
    if path is None:
        return _from_transformers(_cached())
    folder = Path(path)
    if folder.is_dir():
        return _from_folder(folder)
    if folder.is_file():
        raise TextEncoderError(
            f"Text encoder 'clip': {path} does not say which architecture it is for; its shapes do not tell either."
            f" Give 'ARCHITECTURE:{path}', for example 'ViT-B-32:{path}' (open_clip.list_models() names them)."
        )
    architecture, _, file = path.partition(":")
    if file and Path(file).is_file():
        return _from_open_clip_file(architecture, Path(file))
    raise TextEncoderError(f"Text encoder 'clip': there is nothing at {path}. Give {ACCEPTED}.")


def _cached() -> Path:
    optional_package("transformers", "clip", "text")
    folder = cached_folder(REPOSITORY)
    if folder is None:
        raise TextEncoderError(
            f"No CLIP weights on this computer: looked for {REPOSITORY} in the Hugging Face cache. Give {ACCEPTED}; or"
            " use the encoder 'words'."
        )
    return folder


def _from_folder(folder: Path) -> FrozenTextEncoder:
    if (folder / "config.json").is_file() and weights_in(folder):
        return _from_transformers(folder)
    if (folder / OPEN_CLIP_CONFIG).is_file() and weights_in(folder, OPEN_CLIP_WEIGHTS):
        return _from_open_clip_folder(folder)
    raise TextEncoderError(f"Text encoder 'clip': {folder} holds no CLIP model. Give {ACCEPTED}.")


def _from_transformers(folder: Path) -> FrozenTextEncoder:
    transformers = optional_package("transformers", "clip", "text")
    weights = weights_in(folder)
    merges = (folder / "vocab.json").is_file() and (folder / "merges.txt").is_file()
    if not weights or not (merges or (folder / "tokenizer.json").is_file()):
        raise TextEncoderError(f"Text encoder 'clip': {folder} lacks weights or tokenizer files. Give {ACCEPTED}.")
    with loading("clip", folder):
        model, info = transformers.CLIPTextModelWithProjection.from_pretrained(
            folder, local_files_only=True, output_loading_info=True
        )
        require_all_weights("clip", folder, info)
        tokenizer = transformers.CLIPTokenizer.from_pretrained(folder, local_files_only=True)
    model.requires_grad_(False).eval()
    longest = model.config.max_position_embeddings

    def encode(prompt: str) -> Tensor:
        tokens = tokenizer(prompt, truncation=True, max_length=longest, return_tensors="pt")
        return model(**tokens).text_embeds[0]

    return FrozenTextEncoder("clip", model.config.projection_dim, weights, encode)


def _from_open_clip_folder(folder: Path) -> FrozenTextEncoder:
    with loading("clip", folder):
        config = json.loads((folder / OPEN_CLIP_CONFIG).read_text())["model_cfg"]
    return _from_open_clip(f"local-dir:{folder}", config, weights_in(folder, OPEN_CLIP_WEIGHTS))


def _from_open_clip_file(architecture: str, file: Path) -> FrozenTextEncoder:
    config = optional_package("open_clip", "clip", "clip").get_model_config(architecture)
    if config is None:
        raise TextEncoderError(
            f"Text encoder 'clip': open_clip knows no architecture '{architecture}'. open_clip.list_models() names them."
        )
    if "hf_tokenizer_name" in config["text_cfg"]:
        raise TextEncoderError(
            f"Text encoder 'clip': '{architecture}' needs a tokenizer that is not in the checkpoint. Give the model's"
            f" folder with {OPEN_CLIP_CONFIG}, weights and tokenizer files."
        )
    return _from_open_clip(architecture, config, file)


def _from_open_clip(model_name: str, config: dict, weights: Path) -> FrozenTextEncoder:
    """The weights are loaded by name, strictly: open_clip alone would go on with random ones where it finds none."""
    open_clip = optional_package("open_clip", "clip", "clip")
    if "hf_model_name" in config["text_cfg"]:
        raise TextEncoderError(
            f"Text encoder 'clip': the text tower of {weights} is {config['text_cfg']['hf_model_name']}."
        )
    with loading("clip", weights):
        model = open_clip.create_model(model_name, load_weights=False, pretrained_text=False)
        open_clip.load_checkpoint(model, str(weights), strict=True)
        tokenizer = open_clip.get_tokenizer(model_name)
    model.requires_grad_(False).eval()
    model.visual = None  # the image tower is most of the memory, and nobody asks it

    def encode(prompt: str) -> Tensor:
        return model.encode_text(tokenizer([prompt]))[0]

    return FrozenTextEncoder("clip", config["embed_dim"], weights, encode)
