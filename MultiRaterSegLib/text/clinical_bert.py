"""Bio_ClinicalBERT (Alsentzer et al., 2019): the frozen encoder of AmbiguousTextDiff, 768 numbers a token."""

from pathlib import Path

from ..errors import TextEncoderError
from .bert import FILES, load_bert
from .frozen import FrozenTokenEncoder, cached_folder, optional_package

REPOSITORY = "emilyalsentzer/Bio_ClinicalBERT"


def load_clinical_bert(path: str | None = None) -> FrozenTokenEncoder:
    """path: the model's folder; None: REPOSITORY from the Hugging Face cache. No network in any case."""
    return load_bert("clinical_bert", Path(path) if path else _cached())


def _cached() -> Path:
    optional_package("transformers", "clinical_bert", "text")
    folder = cached_folder(REPOSITORY)
    if folder is None:
        raise TextEncoderError(
            f"No ClinicalBERT on this computer: looked for {REPOSITORY} in the Hugging Face cache. Give the path of a"
            f" folder that holds {FILES}; or use the encoder 'words'."
        )
    return folder
