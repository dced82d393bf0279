"""A lesion leaves the scene: segmentation files, DICOM and the report."""
