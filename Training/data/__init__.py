"""Data sets by name; each is one file that turns what lies on disk into `TrainingData`."""

from collections.abc import Callable
from functools import partial
from pathlib import Path

from MultiRaterSegLib.errors import DataError

from .ima_plus_plus import load_ima_plus_plus
from .image_table import load_image_table
from .lidc_attributes import load_lidc_attributes
from .lidc_slices import load_lidc_described, load_lidc_full_prompt, load_lidc_slices
from .npc_170 import load_npc_170
from .preferred import with_preferences
from .simulated import load_simulated
from .simulator import SCANNERS
from .training_data import TrainingData

DATASETS: dict[str, Callable[[Path, tuple[int, ...]], TrainingData]] = {
    "lidc_slices": load_lidc_slices,
    "lidc_described": load_lidc_described,
    "lidc_full_prompt": load_lidc_full_prompt,
    "lidc_attributes": load_lidc_attributes,
    "npc_170": load_npc_170,
    "ima_plus_plus": load_ima_plus_plus,
    "ima_plus_plus_consensus": partial(load_ima_plus_plus, consensus=True),
    "simulated": load_simulated,
    **{f"simulated_without_{scanner}": partial(load_simulated, without=scanner) for scanner in SCANNERS},
    "image_table": load_image_table,
    "image_table_ranked": partial(load_image_table, experts="ranks"),
}


def load_data(settings) -> TrainingData:
    """The recipe's [data]: its folds, cut to `limit` slices, with `preferences` if there are any. Raises DataError for an
    unknown name or missing files."""
    if settings.name not in DATASETS:
        raise DataError(f"[data] name = '{settings.name}' is unknown. Data sets: {', '.join(DATASETS)}.")
    data = DATASETS[settings.name](Path(settings.root).expanduser(), tuple(settings.folds))
    data = data if settings.limit is None else data.limited(settings.limit)
    return with_preferences(data, Path(settings.preferences).expanduser()) if settings.preferences else data
