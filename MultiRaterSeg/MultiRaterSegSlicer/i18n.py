"""Texts that people read pass through `_`, so that Slicer can translate them; outside Slicer they stay as written."""

try:
    from slicer.i18n import tr as _
except ImportError:  # slicer-core without the application

    def _(text: str) -> str:
        return text


__all__ = ["_"]
