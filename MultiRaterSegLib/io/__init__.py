"""Two doors: scans and pointing in, volumes and segmentations out.

Reading: `read_volume`, `read_roi`, `read_points`, `parse_point`. Writing: `write_scalar_volume`, `write_label_volume`,
`write_segmentation` (Slicer's .seg.nrrd), `write_dicom_seg`, and `atomic_folder`, which shows all files or none.
"""

from .dicom_seg import write_dicom_seg
from .read import read_volume
from .roi import parse_point, read_points, read_roi
from .segmentation import LESION, NODULE, Segment, write_segmentation
from .write import atomic_folder, write_label_volume, write_scalar_volume

__all__ = [
    "LESION",
    "NODULE",
    "Segment",
    "atomic_folder",
    "parse_point",
    "read_points",
    "read_roi",
    "read_volume",
    "write_dicom_seg",
    "write_label_volume",
    "write_scalar_volume",
    "write_segmentation",
]
