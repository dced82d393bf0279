"""Another number for a lesion, as when a scene with lesions was added to one that has some already."""

import uuid

from .folder import hierarchy_of, move_into_folder


def rename(lesion, label: str) -> None:
    """Gives the lesion's label, and all that bears it: nodes, folder, the point that it was made from."""
    former = lesion.label
    lesion.node.SetParameter("label", label)
    for node in (lesion.node, *lesion.own_nodes, *lesion.edited_nodes):
        if node.GetName().startswith(f"{former} "):
            node.SetName(label + node.GetName().removeprefix(former))
    if lesion.folder:
        hierarchy_of(lesion.node.GetScene()).SetItemName(lesion.folder, label)
    point = lesion.node.GetParameter("point")
    place = lesion.place_node
    if place is not None and point and place.GetNthControlPointIndexByID(point) >= 0:
        n = place.GetNthControlPointIndexByID(point)
        if place.GetNthControlPointLabel(n) == former:
            place.SetNthControlPointLabel(n, label)


def have_own_folder(lesion) -> None:
    """Moves its nodes into a new folder, where the same scene was added twice: both would have the same one."""
    lesion.node.SetParameter("uid", uuid.uuid4().hex)
    nodes, hierarchy = [*lesion.own_nodes, *lesion.edited_nodes], hierarchy_of(lesion.node.GetScene())
    if not nodes:
        return
    former = hierarchy.GetItemParent(hierarchy.GetItemByDataNode(nodes[0]))
    move_into_folder(nodes, lesion.node.GetParameter("uid"), lesion.label, lesion.volume_node)
    if not hierarchy.GetNumberOfItemChildren(former):
        hierarchy.RemoveItem(former)
