"""The panel: `presenter` decides what each press does, `window` draws it; everything else is a part of one of the two."""
