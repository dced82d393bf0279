"""Lesions in the scene: folders, outlines, bands, map, tables, review and undo. Knows no widget and no worker."""
