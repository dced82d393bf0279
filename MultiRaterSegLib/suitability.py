"""Whether a scan is of the kind that a model was trained on."""


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
