"""Whether a scan is of the kind that a model was trained on."""

from .errors import UnsupportedRequest
from .geometry import Volume


def check_channels(volume: Volume, model: str, wanted: int, info: dict, advice: str) -> None:
    """Raises UnsupportedRequest where the volume does not have the `wanted` channels that the model reads.

    model: its name. info: its header, which may name the channels. advice: how to give it the images that it reads.
    """
    count = len(volume.voxels)
    if count == wanted:
        return
    named = f" ({', '.join(info['sequences'])})" if info.get("sequences") else ""
    has = "1 image" if count == 1 else f"{count} images"
    reads = f"one{named} at a time" if wanted == 1 else f"{wanted} together{named}. {advice}"
    raise UnsupportedRequest(f"'{volume.source}' holds {has}; the model {model} reads {reads.rstrip('.')}.")


def modality_warnings(modality: str, info: dict) -> tuple[str, ...]:
    """A sentence when it is not, or when the scan does not say what it is; else nothing.

    modality: the scan's DICOM code ("CT", "MR") or "". info: the model's header.
    """
    trained, purpose = info.get("modality", ""), info.get("trained_for", "other scans")
    if not trained or modality == trained:
        return ()
    if modality:
        return (f"This model was trained on {purpose}; this scan is {modality}. Results here are not meaningful.",)
    return (
        f"This model was trained on {purpose}. The file does not say what kind of scan it is: check that it is {trained}.",
    )
