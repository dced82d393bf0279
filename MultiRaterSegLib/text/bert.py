"""BERT models in transformers' own folder format: what MiniLM and ClinicalBERT share."""

from pathlib import Path

from torch import Tensor

from ..errors import TextEncoderError
from .frozen import FrozenTokenEncoder, loading, optional_package, require_all_weights, weights_in

FILES = "config.json, vocab.txt or tokenizer.json, and model.safetensors or pytorch_model.bin"


def load_bert(name: str, folder: Path, longest: int | None = None) -> FrozenTokenEncoder:
    """The BERT in `folder` as the text encoder `name`. longest: tokens a sentence (default: what the model can take)."""
    weights = weights_in(folder)
    vocabulary = weights_in(folder, ("tokenizer.json", "vocab.txt"))
    if not (weights and vocabulary and (folder / "config.json").is_file()):
        raise TextEncoderError(f"Text encoder '{name}': {folder} is not its folder. It must hold {FILES}.")
    with loading(name, folder):
        return _load(name, folder, weights, longest)


def _load(name: str, folder: Path, weights: Path, longest: int | None) -> FrozenTokenEncoder:
    transformers = optional_package("transformers", name, "text")
    model, info = transformers.BertModel.from_pretrained(
        folder, local_files_only=True, output_loading_info=True, add_pooling_layer=False
    )
    require_all_weights(name, folder, info)
    tokenizer = transformers.BertTokenizer.from_pretrained(folder, local_files_only=True)
    model.requires_grad_(False).eval()
    longest = longest or model.config.max_position_embeddings

    def encode(prompt: str) -> Tensor:
        tokens = tokenizer(prompt, truncation=True, max_length=longest, return_tensors="pt")
        return model(**tokens).last_hidden_state[0]  # one sentence: no padding to leave out

    return FrozenTokenEncoder(name, model.config.hidden_size, weights, encode)
