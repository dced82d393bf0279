"""What pretrained text encoders share: frozen weights with a hash, one vector a sentence, errors that help."""

import hashlib
import importlib
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType

import torch
from torch import Tensor

from ..errors import TextEncoderError
from .slots import Understanding
from .words import WordsEncoder

WEIGHTS = ("model.safetensors", "pytorch_model.bin")


class FrozenTextEncoder:
    """A pretrained encoder behind one function; never trained, always in eval mode, on the CPU.

    encode: one sentence -> [dim]. Sentences are encoded one by one, so that a vector never depends on its batch.
    It is no nn.Module: its weights are not part of the model's checkpoint, only their hash is.
    """

    def __init__(self, name: str, dim: int, weights: Path, encode: Callable[[str], Tensor]):
        self.name, self.dim, self.weights = name, dim, weights
        self.weights_sha256 = sha256_of(weights)
        self._encode = encode
        self._cache: dict[str, Tensor] = {}

    def identity(self) -> dict:
        """Name, dimension and the sha256 of the weights file."""
        return {"encoder": self.name, "dim": self.dim, "weights_sha256": self.weights_sha256}

    @torch.no_grad()
    def embed(self, prompts: Sequence[str]) -> Tensor:
        """[P, dim] float32, each row of length 1. Any text is embedded; `understand` is what refuses."""
        for prompt in prompts:
            if prompt not in self._cache:
                self._cache[prompt] = torch.nn.functional.normalize(self._encode(prompt).float(), dim=-1)
        return torch.stack([self._cache[prompt] for prompt in prompts]) if prompts else torch.empty(0, self.dim)

    def understand(self, prompt: str) -> Understanding:
        """How the words parser reads the sentence: the report for the person, and the refusal of what it cannot map.

        The vector comes from the pretrained model, which maps any text to something; it cannot say what it understood.
        """
        return WordsEncoder().understand(prompt)


class FrozenTokenEncoder(FrozenTextEncoder):
    """A pretrained encoder that has a vector for every token; a sentence is their mean.

    encode: one sentence -> [tokens, dim].
    """

    def __init__(self, name: str, dim: int, weights: Path, encode: Callable[[str], Tensor]):
        super().__init__(name, dim, weights, lambda sentence: self.tokens(sentence).mean(0))
        self._encode_tokens = encode
        self._token_cache: dict[str, Tensor] = {}

    @torch.no_grad()
    def tokens(self, sentence: str) -> Tensor:
        """[tokens, dim] float32 on the CPU: the last layer's vectors, without padding."""
        if sentence not in self._token_cache:
            self._token_cache[sentence] = self._encode_tokens(sentence).float()
        return self._token_cache[sentence]


def sha256_of(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def optional_package(name: str, encoder: str, extra: str) -> ModuleType:
    """The package, or TextEncoderError naming what to install.

    A torchvision that does not fit torch makes packages fail with RuntimeError as they are imported.
    """
    try:
        return importlib.import_module(name)
    except (ImportError, RuntimeError) as error:
        raise TextEncoderError(
            f"Text encoder '{encoder}' needs the package {name}, which cannot be imported ({error}). Install it with:"
            f" pip install 'MultiRaterSeg[{extra}]'. The encoder 'words' needs nothing."
        ) from error


def cached_folder(repository: str) -> Path | None:
    """Where the Hugging Face cache of this computer holds a repository; no network."""
    from huggingface_hub import try_to_load_from_cache

    found = try_to_load_from_cache(repository, "config.json")
    return Path(found).parent if isinstance(found, str) else None


def weights_in(folder: Path, names: Sequence[str] = WEIGHTS) -> Path | None:
    return next((folder / name for name in names if (folder / name).is_file()), None)


@contextmanager
def loading(encoder: str, place: Path) -> Iterator[None]:
    """Turns whatever a damaged or foreign file raises into one sentence."""
    try:
        yield
    except TextEncoderError:
        raise
    except Exception as error:
        reason = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
        raise TextEncoderError(f"Text encoder '{encoder}': {place} cannot be loaded ({reason}).") from error


def require_all_weights(encoder: str, place: Path, info: dict) -> None:
    """transformers fills absent weights with random numbers and goes on; we do not."""
    missing = sorted(info["missing_keys"]) + sorted(str(key) for key in info.get("mismatched_keys", ()))
    if missing:
        raise TextEncoderError(
            f"Text encoder '{encoder}': {place} lacks {len(missing)} of the model's weights (first: {missing[0]});"
            " it is for another architecture."
        )
