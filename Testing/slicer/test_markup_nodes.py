"""Points and boxes that a person placed, as RAS millimetres in the world."""

from itertools import product

import numpy as np
import pytest
import vtk
from MultiRaterSegSlicer.nodes import points_from_node, roi_from_node
from slicer.util import arrayFromVTKMatrix

from MultiRaterSegLib.errors import GeometryError


def turned(degrees: float = 30.0, shift=(1.0, 2.0, 3.0)) -> vtk.vtkMatrix4x4:
    transform = vtk.vtkTransform()
    transform.Translate(shift)
    transform.RotateZ(degrees)
    transform.RotateX(20)
    return transform.GetMatrix()


def transform_node(host, matrix):
    node = host.scene.AddNewNodeByClass("vtkMRMLLinearTransformNode", "T")
    node.SetMatrixTransformToParent(matrix)
    return node


def test_placed_points_come_in_order_and_unplaced_ones_not_at_all(host):
    node = host.scene.AddNewNodeByClass("vtkMRMLMarkupsFiducialNode", "lesion")
    for point in [(34.0, -12.5, 88.0), (1, 2, 3), (-7, 8, 9)]:
        node.AddControlPoint(point)
    node.UnsetNthControlPointPosition(1)
    assert points_from_node(node) == [(34.0, -12.5, 88.0), (-7, 8, 9)]


def test_points_under_a_transform_are_where_they_are_seen(host):
    node = host.scene.AddNewNodeByClass("vtkMRMLMarkupsFiducialNode", "lesion")
    node.AddControlPoint((10.0, 20.0, 30.0))
    node.SetAndObserveTransformNodeID(transform_node(host, turned()).GetID())
    expected = arrayFromVTKMatrix(turned()) @ [10, 20, 30, 1]
    np.testing.assert_allclose(points_from_node(node)[0], expected[:3])


def test_an_empty_point_list_is_refused(host):
    node = host.scene.AddNewNodeByClass("vtkMRMLMarkupsFiducialNode", "lesion")
    with pytest.raises(GeometryError, match="'lesion' holds no placed point"):
        points_from_node(node)


def corners_of(matrix: np.ndarray, size) -> np.ndarray:
    signs = np.array(list(product((-0.5, 0.5), repeat=3)))
    return signs * size @ matrix[:3, :3].T + matrix[:3, 3]


def test_an_upright_box_gives_its_own_corners(host):
    node = host.scene.AddNewNodeByClass("vtkMRMLMarkupsROINode", "box")
    node.SetCenter((10, 20, 30))
    node.SetSize((4, 6, 8))
    assert roi_from_node(node) == ((8, 17, 26), (12, 23, 34))


def test_a_turned_and_transformed_box_gives_the_upright_box_around_it(host):
    node = host.scene.AddNewNodeByClass("vtkMRMLMarkupsROINode", "box")
    node.SetSize((4, 6, 8))
    node.SetAndObserveObjectToNodeMatrix(turned())
    expected = corners_of(arrayFromVTKMatrix(turned()), (4, 6, 8))
    np.testing.assert_allclose(roi_from_node(node), (expected.min(0), expected.max(0)))

    node.SetAndObserveTransformNodeID(transform_node(host, turned(70)).GetID())
    expected = corners_of(arrayFromVTKMatrix(turned(70)) @ arrayFromVTKMatrix(turned()), (4, 6, 8))
    np.testing.assert_allclose(roi_from_node(node), (expected.min(0), expected.max(0)))


def test_a_box_that_was_not_drawn_yet_is_refused(host):
    node = host.scene.AddNewNodeByClass("vtkMRMLMarkupsROINode", "box")
    with pytest.raises(GeometryError, match="'box' is empty"):
        roi_from_node(node)
