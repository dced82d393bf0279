"""The fifth step: edit a copy, accept or flag, write files."""

from collections.abc import Callable
from pathlib import Path

from MultiRaterSegLib.errors import MultiRaterSegError

from ..export import lesion as export
from ..i18n import _
from ..scene.lesions import SceneLesion
from .session import Session

WRITERS = {
    "nrrd": export.write_nrrd,
    "dicom_seg": export.write_dicom_seg,
    "rtstruct": export.write_rtstruct,
    "report": export.write_report,
}


class Review:
    """What the person decides about the chosen lesion."""

    def __init__(self, session: Session, open_editor: Callable[[object], None]):
        self.session, self._open_editor = session, open_editor

    def edit(self, key: str) -> None:
        """A copy of the outline alone, open in Segment Editor; an edited copy is opened itself."""
        lesion = self.session.lesion
        outline = self._outline(lesion, key)
        try:
            node = lesion.edit_copy(outline) if isinstance(outline, str) else outline
        except MultiRaterSegError as error:
            self.session.fail(error)
            return
        self.session.changed()
        self._open_editor(node)

    def decide(self, key: str, state: str, note: str) -> None:
        """state: "accepted" or "flagged". Ends a blind review of the lesion."""
        lesion = self.session.lesion
        try:
            lesion.review(self._outline(lesion, key), state, note)
        except MultiRaterSegError as error:
            self.session.fail(error)
        self.session.changed()

    def export(self, form: str, path: Path) -> None:
        """Writes the chosen lesion; says where, or why not. The person was asked before a file is replaced."""
        try:
            written = WRITERS[form](self.session.lesion, path, overwrite=True)
        except MultiRaterSegError as error:
            self.session.fail(error)
            return
        first = written[0] if isinstance(written, list | tuple) else written
        self.session.say(_("Exported: {path}").format(path=first))

    @staticmethod
    def unavailable(form: str) -> str:
        """Why a format cannot be written here, or ""."""
        if form == "rtstruct" and not export.rtstruct_exporter():
            return _("RTSTRUCT needs the SlicerRT extension: install it with the Extensions Manager.")
        if form == "dicom_seg" and not export.dicom_exporter():
            return _("DICOM SEG needs Slicer's QuantitativeReporting extension or the Python package highdicom.")
        return ""

    def _outline(self, lesion: SceneLesion, key: str):
        """An outline's name as it is, an edited copy as its node."""
        return next((node for node in lesion.edited_nodes if node.GetID() == key), key)
