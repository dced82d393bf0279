"""Pictures of slice views without the application: Slicer's own slice logic, segment outlines, overlay and colour legend.

The one replacement is the image actor, which in Slicer belongs to a Qt widget: here a vtkImageMapper shows what the
vtkMRMLSliceLogic blended. Needs OpenGL without a screen (EGL, or Mesa's software renderer).
"""

from pathlib import Path

import numpy as np
import slicer
import vtk
import vtkmodules.vtkInteractionStyle
import vtkmodules.vtkRenderingFreeType
import vtkmodules.vtkRenderingOpenGL2  # noqa: F401  these three register what a render window is made of
from vtk.util.numpy_support import vtk_to_numpy

MANAGERS = (
    "vtkMRMLModelSliceDisplayableManager",
    "vtkMRMLSegmentationsDisplayableManager2D",
    "vtkMRMLMarkupsDisplayableManager",
    "vtkMRMLColorLegendDisplayableManager",
    "vtkMRMLRulerDisplayableManager",
)


class SlicePicture:
    """Draws what one slice view of a host's scene shows. size: width and height in pixels."""

    def __init__(self, host, name: str = "Red", orientation: str = "Axial", size: tuple[int, int] = (400, 400)):
        self.size, self.logic = size, host.slice_logic(name, orientation)
        self._window, self._renderer = _window(size)
        self._image = _image_actor()
        self._renderer.AddViewProp(self._image)  # before the segments, which are laid over it
        self._interactor = vtk.vtkRenderWindowInteractor()
        self._interactor.SetRenderWindow(self._window)
        self._interactor.Initialize()
        self._interactor.UpdateSize(*size)
        self._managers = slicer.vtkMRMLDisplayableManagerGroup()
        self._managers.SetRenderer(self._renderer)
        self._managers.Initialize(_factory(host), self._renderer)
        self._managers.SetMRMLDisplayableNode(self.logic.GetSliceNode())

    def look_at(self, ras, width_mm: float) -> None:
        """Centre the view on a point (RAS mm) and show this much around it."""
        node = self.logic.GetSliceNode()
        self.logic.ResizeSliceNode(*self.size)
        node.SetFieldOfView(width_mm, width_mm * self.size[1] / self.size[0], node.GetFieldOfView()[2])
        node.JumpSliceByCentering(*ras)
        self.logic.SnapSliceOffsetToIJK()

    def pixels(self) -> np.ndarray:
        """The picture as uint8 [height, width, 3], first row on top."""
        connection = self.logic.GetImageDataConnection()
        self._image.SetVisibility(connection is not None)
        if connection is not None:
            self._image.GetMapper().SetInputConnection(connection)
        self._window.Render()
        grabber = vtk.vtkWindowToImageFilter()
        grabber.SetInput(self._window)
        grabber.ReadFrontBufferOff()
        grabber.Update()
        image = grabber.GetOutput()
        width, height, _ = image.GetDimensions()
        return vtk_to_numpy(image.GetPointData().GetScalars()).reshape(height, width, 3)[::-1].copy()

    def write(self, path: Path) -> None:
        """As a PNG file."""
        from PIL import Image

        Image.fromarray(self.pixels()).save(path, optimize=True)


def _window(size):
    renderer = vtk.vtkRenderer()
    renderer.GetActiveCamera().ParallelProjectionOn()
    renderer.SetBackground(0, 0, 0)
    window = vtk.vtkEGLRenderWindow() if hasattr(vtk, "vtkEGLRenderWindow") else vtk.vtkRenderWindow()
    window.SetOffScreenRendering(1)
    window.ShowWindowOff()
    window.SetMultiSamples(0)
    window.SetSize(*size)
    window.AddRenderer(renderer)
    return window, renderer


def _image_actor():
    mapper = vtk.vtkImageMapper()
    mapper.SetColorWindow(255)  # the blended image has final colours
    mapper.SetColorLevel(127.5)
    actor = vtk.vtkActor2D()
    actor.SetMapper(mapper)
    actor.GetProperty().SetDisplayLocationToBackground()
    return actor


def _factory(host):
    factory = slicer.vtkMRMLSliceViewDisplayableManagerFactory.GetInstance()
    factory.SetMRMLApplicationLogic(host.application)
    for manager in MANAGERS:
        if not factory.IsDisplayableManagerRegistered(manager):
            factory.RegisterDisplayableManager(manager)
    return factory
