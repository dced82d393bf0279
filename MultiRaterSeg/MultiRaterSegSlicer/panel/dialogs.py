"""The few windows that open on a press: what to install, where to write."""

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
    box = qt.QMessageBox(slicer.util.mainWindow())
    box.setWindowTitle(_("Install what MultiRaterSeg computes with"))
    choices = installation.choices()
    box.setText(_("Nothing that Slicer brings is replaced. It takes some minutes."))
    box.setInformativeText("\n".join(f"{choice.label}: {choice.hint}" for choice in choices))
    buttons = [box.addButton(choice.label, qt.QMessageBox.AcceptRole) for choice in choices]
    offline = box.addButton(_("From a folder of wheels…"), qt.QMessageBox.ActionRole)
    box.addButton(qt.QMessageBox.Cancel)
    box.setDefaultButton(buttons[0])
    box.exec_()
    pressed = box.clickedButton()
    if pressed == offline:
        folder = qt.QFileDialog.getExistingDirectory(slicer.util.mainWindow(), _("Folder of wheels"))
        return bool(folder) and _run("cpu", Path(folder))
    kinds = [choice.kind for choice, button in zip(choices, buttons) if button == pressed]
    return bool(kinds) and _run(kinds[0], None)


def _run(kind: str, wheels: Path | None) -> bool:
    try:
        with slicer.util.WaitCursor():
            installation.plan(kind, wheels).run()
    except installation.InstallError as error:
        slicer.util.errorDisplay(str(error), detailedText=error.details)
        return False
    return True
