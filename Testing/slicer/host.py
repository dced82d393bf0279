"""What the Slicer application sets up before any module runs, in thirty lines: a scene and the logics that serve it.

Every vtkMRML and vtkSlicer class is Slicer's own compiled code, from the slicer-core wheel; no window, no Qt.
"""

from pathlib import Path
from types import SimpleNamespace

import slicer
import vtk

LOGICS = {  # name in slicer.modules -> class; colors first, because the others look it up
    "colors": "vtkSlicerColorLogic",
    "subjecthierarchy": "vtkSlicerSubjectHierarchyModuleLogic",
    "volumes": "vtkSlicerVolumesLogic",
    "segmentations": "vtkSlicerSegmentationsModuleLogic",
    "markups": "vtkSlicerMarkupsLogic",
}


class Host:
    """One scene with its application logic. `folder` takes temporary files."""

    def __init__(self, folder: Path):
        self.folder = Path(folder)
        self.scene = slicer.vtkMRMLScene()
        self.application = slicer.vtkSlicerApplicationLogic()
        self.application.SetHomeDirectory(str(folder))
        self.application.SetShareDirectory("share")
        (folder / "share" / "ColorFiles").mkdir(parents=True)  # the wheel brings no colour files; silence its warning
        self.application.SetTemporaryPath(str(folder))
        self.application.SetMRMLScene(self.scene)
        self.scene.SetRootDirectory(str(folder))
        self._enable_scene_files(folder)
        self.application.SetSliceLogics(vtk.vtkCollection())
        slicer.vtkMRMLSliceNode.AddDefaultSliceOrientationPresets(self.scene, True)
        self.logics = {name: self._start(name.title(), getattr(slicer, kind)()) for name, kind in LOGICS.items()}

    def publish(self) -> "Host":
        """Make this the scene that `slicer.util` works on."""
        slicer.mrmlScene = self.scene
        modules = {name: SimpleNamespace(logic=lambda logic=logic: logic) for name, logic in self.logics.items()}
        slicer.modules = SimpleNamespace(**modules)
        return self

    def slice_logic(self, name: str, orientation: str):
        """Slicer's logic behind the slice view of this name ("Red"), one for each; "Axial", "Sagittal" or "Coronal"."""
        logics = self.application.GetSliceLogics()
        known = [logics.GetItemAsObject(i) for i in range(logics.GetNumberOfItems())]
        for logic in known:
            if logic.GetSliceNode().GetName() == name:
                return logic
        logic = slicer.vtkMRMLSliceLogic()
        logic.SetMRMLApplicationLogic(self.application)
        logics.AddItem(logic)
        logic.SetMRMLScene(self.scene)
        logic.AddSliceNode(name)
        logic.GetSliceNode().SetOrientation(orientation)
        return logic

    def _enable_scene_files(self, folder: Path) -> None:
        """Scenes read their bundles through the cache; without it ReadFromMRB returns False."""
        (folder / ".slicer-cache").touch()  # how the cache knows that a folder is its own
        self._remote = slicer.vtkMRMLRemoteIOLogic()
        self._remote.SetMRMLApplicationLogic(self.application)
        self._remote.SetMRMLScene(self.scene)
        self._remote.GetCacheManager().SetRemoteCacheDirectory(str(folder))
        self._remote.AddDataIOToScene()

    def _start(self, name: str, logic):
        logic.SetMRMLApplicationLogic(self.application)
        self.application.SetModuleLogic(name, logic)  # before the scene: logics look each other up here
        logic.SetMRMLScene(self.scene)
        return logic
