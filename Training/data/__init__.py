"""Data sets by name; each is one file that turns what lies on disk into `Slices`."""
