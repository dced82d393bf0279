"""MultiRaterSeg: see where experts disagree. Names are loaded on first use, so `import MultiRaterSegLib` is quick."""

__version__ = "0.1.0"

_PUBLIC = {
    "VolumePredictor": "predictor",
    "Prediction": "predictor",
    "read_volume": "io",
    "Grid": "geometry",
    "Volume": "geometry",
    "Frame": "frame",
    "Noise": "noise",
    "Method": "method",
    "METHODS": "methods",
    "load_checkpoint": "checkpoint",
    "MultiRaterSegError": "errors",
}
__all__ = sorted(_PUBLIC)


def __getattr__(name: str):
    if name not in _PUBLIC:
        raise AttributeError(f"module 'MultiRaterSegLib' has no attribute '{name}'. It offers: {', '.join(__all__)}")
    from importlib import import_module

    return getattr(import_module(f".{_PUBLIC[name]}", __name__), name)
