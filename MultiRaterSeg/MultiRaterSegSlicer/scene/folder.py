"""Where a lesion's nodes stand in the subject hierarchy: a folder of their own, under the study of the scan."""

import slicer

UID = "MultiRaterSeg"


def folder_of(scene, uid: str) -> int:
    """The item of the folder that carries this uid; 0 when it was deleted or not made yet."""
    return hierarchy_of(scene).GetItemByUID(UID, uid)


def move_into_folder(nodes, uid: str, name: str, volume_node) -> None:
    """Puts the nodes into the folder; makes it, beside the scan, when it is not there."""
    scene = nodes[0].GetScene()
    hierarchy = hierarchy_of(scene)
    folder = folder_of(scene, uid)
    if not folder:
        folder = hierarchy.CreateFolderItem(_study_of(hierarchy, volume_node), name)
        hierarchy.SetItemUID(folder, UID, uid)
    for node in nodes:
        item = hierarchy.GetItemByDataNode(node) or hierarchy.CreateItem(folder, node)
        if hierarchy.GetItemParent(item) != folder:
            hierarchy.SetItemParent(item, folder)


def remove_empty_folder(scene, uid: str) -> None:
    hierarchy, folder = hierarchy_of(scene), folder_of(scene, uid)
    if folder and not hierarchy.GetNumberOfItemChildren(folder):
        hierarchy.RemoveItem(folder)


def hierarchy_of(scene) -> "slicer.vtkMRMLSubjectHierarchyNode":
    return slicer.vtkMRMLSubjectHierarchyNode.GetSubjectHierarchyNode(scene)


def _study_of(hierarchy, volume_node) -> int:
    """The item that holds the scan: its study, or the top of the scene."""
    item = hierarchy.GetItemByDataNode(volume_node) if volume_node is not None else 0
    return hierarchy.GetItemParent(item) if item else hierarchy.GetSceneItemID()
