"""The one training loop: every method, stage and data set goes through it. No method's name appears here."""

import dataclasses
import logging
import math
import warnings
from collections.abc import Callable
from pathlib import Path

import lightning
import torch
from lightning.pytorch.callbacks import Callback, ModelCheckpoint, RichProgressBar
from lightning.pytorch.loggers import CSVLogger, TensorBoardLogger
from safetensors.torch import load_file, save_file
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn
from torch.utils.data import DataLoader

import MultiRaterSegLib
from MultiRaterSegLib.checkpoint import save_checkpoint
from MultiRaterSegLib.errors import DataError, RecipeError
from MultiRaterSegLib.frame import Frame
from MultiRaterSegLib.method import Batch, Method, Stage
from MultiRaterSegLib.methods import METHODS

from .data import load_data
from .data.batches import BatchSource, BatchStream
from .data.slices import Slices
from .recipe import Recipe, StageSettings
from .validation import validation_score

logging.getLogger("lightning.pytorch").setLevel(logging.WARNING)  # no advice on other products
for said in ("Checkpoint directory .* exists and is not empty", r".*isinstance\(treespec, LeafSpec\)"):
    warnings.filterwarnings("ignore", said)  # a stage's folder holds its logs already; Lightning's own affair


def train(
    recipe: Recipe,
    folder: Path,
    resume: bool = False,
    start: Callable[[Method], dict] | None = None,
    stages: list[str] | None = None,
) -> Path:
    """Runs the recipe's stages in order and returns the final weights, runs/NAME/best.safetensors.

    start: gives the method other than random weights, see start.py, and returns what the checkpoint says of them.
    """
    lightning.seed_everything(recipe.seed, verbose=False)
    data = load_data(recipe.data)
    training, validation = data.split_patients(recipe.data.validation_share, recipe.seed)
    if training.slices.preferred is not None:
        training = training.rows(training.slices.paired_rows)
    method = METHODS[recipe.method](recipe.model, data.channels, data.labels, data.experts)
    if method.starts_from_another and start is None and not resume:
        raise RecipeError(
            f"{recipe.name}: {method.title} goes on from another model. Give its weights with --start-from."
        )
    if method.learns_from_preferences and training.slices.preferred is None:
        raise RecipeError(
            f"{recipe.name}: {method.title} learns from preferred masks, and these data have none. Make them with "
            "Training/preferences.py and name the file in [data] preferences."
        )
    started_from = start(method) if start else {}
    if not started_from and not resume:
        _refuse_random_frozen_parts(recipe, method, stages)
    recorded = dataclasses.asdict(recipe)
    del recorded["data"]["root"]  # where the data lay on one machine says nothing on another
    info = {
        "modality": data.modality,
        "trained_for": data.description,
        "sequences": data.sequences,
        "recipe": recorded,
        "patients": {"training": training.patients, "validation": validation.patients},
        "started_from": started_from,
        "version": MultiRaterSegLib.__version__,
    }
    for number, stage in enumerate(method.stages(), 1):
        if stages is not None and stage.name not in stages:
            continue
        settings = recipe.stage.get(stage.name, StageSettings())
        place = folder / f"{number}-{stage.name}"
        if resume and (place / "done").is_file():
            method.load_state_dict(load_file(str(place / "best.pt.safetensors")))
            continue
        source = BatchSource(
            training.slices,
            recipe.frame,
            data.experts,
            recipe.batches.size,
            recipe.batches.window,
            recipe.seed + 1000 * number,
            recipe.batches.augmentation,
            recipe.batches.mixture,
        )
        fit_stage(method, stage, settings, source, validation.slices, recipe, place, resume)
        save_checkpoint(place / "best.safetensors", method, recipe.frame, info | {"stage": stage.name})
        (place / "done").touch()
    return save_checkpoint(folder / "best.safetensors", method, recipe.frame, info)


def _refuse_random_frozen_parts(recipe: Recipe, method: Method, stages: list[str] | None) -> None:
    """Raises RecipeError where the first stage keeps modules as they are and nothing was loaded into them."""
    first = next(stage for stage in method.stages() if stages is None or stage.name in stages)
    if frozen := recipe.stage.get(first.name, StageSettings()).frozen:
        raise RecipeError(
            f"{recipe.name}: the stage '{first.name}' keeps {', '.join(frozen)} as it is, and nothing was loaded into it, so it "
            f"would stay random. Give --backbone-from or --start-from, or train it too: --set stage.{first.name}.frozen=[]"
        )


def fit_stage(
    method: Method,
    stage: Stage,
    settings: StageSettings,
    source: BatchSource,
    validation: Slices,
    recipe: Recipe,
    place: Path,
    resume: bool,
) -> None:
    """Trains one stage; afterwards `method` holds the best weight average."""
    place.mkdir(parents=True, exist_ok=True)
    stage.begin()
    module = StageModule(method, stage, settings, recipe.seed)
    last = place / "last.ckpt"
    if not resume and last.is_file():
        raise DataError(f"'{place}' already holds a run. Add --resume to go on with it, or give another --out.")
    keep = ModelCheckpoint(
        dirpath=place,
        filename="last",
        every_n_train_steps=settings.validate_every or settings.steps,
        save_top_k=1,
        enable_version_counter=False,
    )
    best = KeepBest(place / "best.pt.safetensors", validation, recipe.frame, settings)
    trainer = lightning.Trainer(
        max_steps=settings.steps,
        precision=recipe.precision,
        accelerator="auto",
        devices=1,
        gradient_clip_val=settings.gradient_clip or None,
        logger=[CSVLogger(place, name="", version=""), TensorBoardLogger(place, name="", version="tensorboard")],
        callbacks=[best, keep, StageProgress(stage.name)],
        log_every_n_steps=settings.log_every,
        enable_model_summary=False,
        num_sanity_val_steps=0,
    )
    stream = BatchStream(source, lambda: trainer.global_step)
    trainer.fit(
        module,
        DataLoader(stream, batch_size=None),
        ckpt_path=last if resume and last.is_file() else None,
        weights_only=False,
    )
    method.load_state_dict(load_file(str(place / "best.pt.safetensors")))


class StageProgress(RichProgressBar):
    """The stage's name, its steps and its loss."""

    def __init__(self, stage: str):
        super().__init__(refresh_rate=20)
        self.stage = stage

    def _get_train_description(self, current_epoch: int) -> str:
        return self.stage

    def get_metrics(self, trainer, module) -> dict:
        return {name: value for name, value in super().get_metrics(trainer, module).items() if name != "v_num"}


class StageModule(lightning.LightningModule):
    """One stage of a method for Lightning: what it minimises, its optimiser, and a moving average of its weights."""

    def __init__(self, method: Method, stage: Stage, settings: StageSettings, seed: int):
        super().__init__()
        self.method, self.stage, self.settings, self.seed = method, stage, settings, seed
        frozen = {id(p) for name in settings.frozen for p in _submodule(method, name).parameters()}
        trained = {id(p) for p in stage.parameters()} - frozen
        for parameter in method.parameters():
            parameter.requires_grad_(id(parameter) in trained)
        self.average = AveragedModel(method, multi_avg_fn=get_ema_multi_avg_fn(settings.ema), use_buffers=True)

    def on_train_epoch_start(self) -> None:
        self.method.eval()  # what is frozen stays as it is, its normalisation statistics too
        for module in self.stage.modules:
            module.train()
        for name in self.settings.frozen:
            _submodule(self.method, name).eval()

    def transfer_batch_to_device(self, batch: Batch, device, dataloader_idx) -> Batch:
        return batch.to(device)

    def training_step(self, batch: Batch, _index: int) -> torch.Tensor:
        torch.manual_seed(
            self.seed * 1_000_003 + self.global_step
        )  # noise is a function of (seed, step), as the batch is
        terms = self.stage.loss(batch)
        self.log_dict({name: value.detach() for name, value in terms.items() if name != "loss"}, batch_size=1)
        self.log("loss", terms["loss"].detach(), prog_bar=True, batch_size=1)
        return terms["loss"]

    def optimizer_step(self, *arguments, **options) -> None:
        super().optimizer_step(*arguments, **options)
        self.average.update_parameters(self.method)

    def configure_optimizers(self):
        s = self.settings
        kind = torch.optim.AdamW if s.optimizer == "adamw" else torch.optim.Adam
        optimizer = kind(
            [p for p in self.stage.parameters() if p.requires_grad], s.learning_rate, weight_decay=s.weight_decay
        )
        floor = s.final_learning_rate / s.learning_rate

        def factor(step: int) -> float:
            if step < s.warmup_steps:
                return (step + 1) / s.warmup_steps
            progress = min(1.0, (step - s.warmup_steps) / max(1, s.steps - s.warmup_steps))
            left = 1 - progress if s.decay == "linear" else 0.5 * (1 + math.cos(math.pi * progress))
            return floor + (1 - floor) * left

        schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, factor)
        return {"optimizer": optimizer, "lr_scheduler": {"scheduler": schedule, "interval": "step"}}


def _submodule(method: Method, name: str) -> torch.nn.Module:
    try:
        return method.get_submodule(name)
    except AttributeError:
        known = ", ".join(f"'{child}'" for child, _ in method.named_children())
        raise RecipeError(
            f"frozen = '{name}': {method.title} has no such module. Give one of {known}, or a part of one."
        ) from None


class KeepBest(Callback):
    """Scores the weight average on the inner validation patients and keeps the best, or the last: early averages still
    warm up, and the score does not see everything that is trained."""

    def __init__(self, path: Path, validation: Slices, frame: Frame, settings: StageSettings):
        self.path, self.validation, self.frame = path, validation, frame
        self.every, self.steps = settings.validate_every, settings.steps
        self.keep, self.best, self.limit = settings.keep, -math.inf, settings.validation_slices

    def state_dict(self) -> dict:
        return {"best": self.best}

    def load_state_dict(self, state: dict) -> None:
        self.best = state["best"]

    def on_train_batch_end(self, trainer, module: StageModule, *_) -> None:
        step = trainer.global_step
        if step != self.steps and not (self.every and step % self.every == 0):
            return
        method = module.average.module.eval()
        scores = validation_score(method, self.frame, self.validation, module.stage.judged_by, self.limit)
        for logger in trainer.loggers:
            logger.log_metrics({f"validation_{name}": value for name, value in scores.items()}, step)
        if self.keep == "last" or scores["score"] >= self.best:
            self.best = scores["score"]
            state = {name: value.detach().cpu().contiguous().clone() for name, value in method.state_dict().items()}
            save_file(state, str(self.path))
