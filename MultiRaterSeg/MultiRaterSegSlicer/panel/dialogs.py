"""The few windows that open on a press: what to install, where to write."""

from collections.abc import Sequence
from pathlib import Path

import qt
import slicer

from ..i18n import _
from ..install import installer as installation

FORMATS = ("nrrd", "dicom_seg", "rtstruct", "report")


def format_title(form: str) -> str:
    return {
        "nrrd": _("NRRD segmentation"),
        "dicom_seg": _("DICOM SEG"),
        "rtstruct": _("DICOM RTSTRUCT"),
        "report": _("Report (JSON or CSV)"),
    }[form]


def ask_where(form: str, session) -> Path | None:
    """A file, or a folder for DICOM; None when the person thinks again."""
    name = f"{session.volume.GetName()} {session.lesion.label}"
    window = slicer.util.mainWindow()
    if form in ("dicom_seg", "rtstruct"):
        chosen = qt.QFileDialog.getExistingDirectory(window, _("Folder for {name}").format(name=name))
    elif form == "nrrd":
        chosen = qt.QFileDialog.getSaveFileName(window, _("Export"), name + ".seg.nrrd", "NRRD (*.seg.nrrd)")
    else:
        chosen = qt.QFileDialog.getSaveFileName(window, _("Export"), name + ".json", "JSON (*.json);;CSV (*.csv)")
    return Path(chosen) if chosen else None


def install() -> bool:
    """Asks what to install, and does it; whether something was installed."""
    title = _("Install what MultiRaterSeg computes with")
    return _ask_and_install(title, installation.choices(), offline=True)


def install_encoders() -> bool:
    """The same for the optional text encoders."""
    choices = installation.encoder_choices()
    if not choices:
        slicer.util.infoDisplay(_("Every optional text encoder is installed."))
        return False
    return _ask_and_install(_("Install optional text encoders"), choices, offline=False)


def add_model() -> Path | None:
    """Asks for a model's file and copies it to the person's models. Raises CheckpointError for what is no model."""
    window = slicer.util.mainWindow()
    chosen = qt.QFileDialog.getOpenFileName(window, _("Add a model"), "", _("Models (*.safetensors)"))
    if not chosen:
        return None
    from MultiRaterSegLib.commands import models  # reads files with safetensors, which Slicer does not bring

    models.add(Path(chosen))
    return Path(chosen)


def _ask_and_install(title: str, choices: Sequence[installation.Choice], offline: bool) -> bool:
    """One dialog: a button for each choice, the first one the default; `offline`: also from a folder."""
    box = qt.QMessageBox(slicer.util.mainWindow())
    box.setWindowTitle(title)
    box.setText(title)
    hints = [f"{choice.label}: {choice.hint}" for choice in choices]
    patience = _("It takes some minutes, and Slicer may not answer meanwhile. What Slicer brings stays as it is.")
    box.setInformativeText("\n\n".join([*hints, patience, installation.NETWORK_ADVICE]))
    buttons = [box.addButton(choice.label, qt.QMessageBox.AcceptRole) for choice in choices]
    folder_button = box.addButton(_("From a folder of wheels…"), qt.QMessageBox.ActionRole) if offline else None
    box.addButton(qt.QMessageBox.Cancel)
    box.setDefaultButton(buttons[0])
    box.exec_()
    pressed = box.clickedButton()
    if offline and pressed == folder_button:
        folder = qt.QFileDialog.getExistingDirectory(slicer.util.mainWindow(), _("Folder of wheels"))
        return bool(folder) and _run("cpu", Path(folder))
    kinds = [choice.kind for choice, button in zip(choices, buttons) if button == pressed]
    return bool(kinds) and _run(kinds[0], None)


def _say(title: str, number: int, count: int) -> None:
    """Before each step of an installation, in Slicer's status bar."""
    slicer.util.showStatusMessage(f"{title} ({number + 1}/{count}). {installation.WAIT}")
    slicer.app.processEvents()


def _run(kind: str, wheels: Path | None) -> bool:
    try:
        with slicer.util.WaitCursor():
            installation.plan(kind, wheels).run(_say)
    except installation.InstallError as error:
        slicer.util.errorDisplay(str(error), detailedText=error.details)
        return False
    finally:
        slicer.util.showStatusMessage("")
    return True
