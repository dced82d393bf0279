"""D-Persona: diversified and personalised multi-rater segmentation (Wu et al., CVPR 2024).

Stage 1 ("latent", the paper's stage I) trains a probabilistic U-Net whose samples must span the readers: a boundary loss
asks that their union and intersection are those of the readers. Stage 2 ("personalise", stage II) freezes it and trains
one projection head an expert: the head turns the features into a query, which meets a bank of prior samples,

    z_i = sum_k softmax_k(q_i(features) . z_k) z_k,   z_k ~ N(mu(x), sigma(x)).

Numbers are those of the paper and of its public code; where we differ and why:
* In stage 2 what is frozen stays as it is: no gradient and evaluation mode (the public code lets the normalisation
  statistics of the frozen network drift). The best epoch is not chosen on the test fold.
* The last layer of a head has no ReLU, so that a query may point anywhere, not only where all coordinates are positive.
* Convolutions of a head are padded by 1 (the public code pads by 3, so its maps grow); pooling in between as there.
* The random reader is drawn for each image, not once a batch. The generalised Dice loss is our soft Dice loss; the boundary
  loss is the sum over union and intersection (as ProSona prints it), the public code's one loss over both: ours weighs twice.
* The prior is a head on the U-Net's bottleneck, not a second encoder, and there is no L2 term on the latent networks.
* The posterior sees all masks sorted by area; experts that a data set ranks otherwise have heads of their own.
* `cross_entropy_weight`, off in the paper, is what our compact recipes add to every method's Dice loss, here
  in the boundary loss too (else it outweighs what makes samples differ, and they collapse to one).

A style is the weight of each head's query, one-hot for an expert, so interpolation moves the query.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ..losses import boundary_loss, segmentation_loss
from ..method import Batch, Expert, Method, Stage, Style
from ..networks.latent import navigate, probabilities
from ..networks.latent_unet import Encoded as Latent
from ..networks.latent_unet import LatentUNet, LatentUNetConfig
from ..noise import Noise


@dataclass(frozen=True)
class Config(LatentUNetConfig):
    """The paper's numbers. raters: masks an image has (the posterior sees them all). experts_per_step: 0 = all."""

    raters: int = 4
    population_samples: int = 10
    bank_size: int = 100
    bank_size_inference: int = 500
    query_widths: tuple[int, int] = (32, 16)
    query_dropout: float = 0.1
    kl_weight: float = 1.0
    bound_weight: float = 0.5
    cross_entropy_weight: float = 0.0
    experts_per_step: int = 0


@dataclass(frozen=True)
class Encoded:
    """The features and prior of a slice, and every expert's query [B, E, D]."""

    latent: Latent
    queries: Tensor


class DPersona(Method):
    name: ClassVar[str] = "dpersona"
    title: ClassVar[str] = "D-Persona"
    Config: ClassVar[type] = Config

    def __init__(self, config: Config, channels: int, labels: Sequence[str], experts: Sequence[Expert]):
        super().__init__()
        self.config, self.channels = config, channels
        self.labels, self.experts = tuple(labels), tuple(experts)
        self.unet = LatentUNet(config, channels, len(labels), annotations=config.raters)
        features = self.unet.backbone.feature_channels
        self.heads = nn.ModuleList(
            QueryHead(features, config.query_widths, config.latent_dim, config.query_dropout) for _ in experts
        )

    # -- use ----------------------------------------------------------------------------------------------------------

    def encode(self, image: Tensor) -> Encoded:
        latent = self.unet(image)
        return Encoded(latent, torch.stack([head(latent.features) for head in self.heads], 1))

    def sample(self, encoded: Encoded, noise: Noise, style: Style | None = None) -> Tensor:
        prior = encoded.latent.prior
        batch, dim = prior.mean.shape
        if style is None:
            z = prior.place(noise.spread("latent", batch, dim))
        else:
            query = (style[..., None] * encoded.queries).sum(-2)  # [S or 1, B, D]
            bank = noise.normal("bank", batch, (self.config.bank_size_inference, dim)).movedim(2, 1)  # [S, K, B, D]
            z = navigate(query, prior.place(bank), scaled=False)
        return probabilities(self.unet.decode(encoded.latent, z))

    def expert_style(self, encoded: Encoded | None, expert: int) -> Style:
        """[1, 1, E], the weight of each head's query."""
        device = next(self.parameters()).device
        return F.one_hot(torch.tensor(expert, device=device), len(self.experts)).float()[None, None]

    # -- training -----------------------------------------------------------------------------------------------------

    def stages(self) -> tuple[Stage, ...]:
        return (
            Stage("latent", self.latent_loss, (self.unet,)),
            Stage("personalise", self.personalise_loss, (self.heads,), "experts"),
        )

    def latent_loss(self, batch: Batch) -> dict[str, Tensor]:
        """Stage I: L_seg(y(z_posterior), a random reader) + KL + beta L_bound."""
        c = self.config
        latent = self.unet(batch.image)
        posterior = self.unet.posterior(batch.image, by_area(batch.masks))
        z = posterior.place(torch.randn_like(posterior.mean))[None]
        z = torch.cat([z, latent.prior_samples(c.population_samples)])
        logits = self.unet.decode(latent, z).squeeze(2)  # [1 + S, B, H, W]
        annotation = batch.random_rater().movedim(1, 0)
        terms = {
            "segmentation": segmentation_loss(logits[:1], annotation, c.cross_entropy_weight),
            "kl": posterior.kl(latent.prior).mean(),
            "bound": boundary_loss(logits[1:], batch.masks, c.cross_entropy_weight),
        }
        return {"loss": terms["segmentation"] + c.kl_weight * terms["kl"] + c.bound_weight * terms["bound"], **terms}

    def personalise_loss(self, batch: Batch) -> dict[str, Tensor]:
        """Stage II: the mean over experts of L_seg(y(z_i), the mask of expert i); only the heads learn."""
        c = self.config
        with torch.no_grad():
            latent = self.unet(batch.image)
        chosen = torch.randperm(len(self.experts))[: c.experts_per_step or None].tolist()
        queries = torch.stack([self.heads[e](latent.features) for e in chosen])  # [E, B, D]
        bank = latent.prior_samples(c.bank_size)[None]  # [1, K, B, D]
        logits = self.unet.decode(latent, navigate(queries, bank, scaled=False)).squeeze(2)
        targets = torch.stack([batch.expert_mask(self.experts[e].name) for e in chosen])
        return {"loss": segmentation_loss(logits, targets, c.cross_entropy_weight)}


class QueryHead(nn.Module):
    """Features [B, F, H, W] -> query [B, D]: three pairs of 3x3 convolutions, halved in between, and their mean."""

    def __init__(self, channels: int, widths: Sequence[int], latent_dim: int, dropout: float):
        super().__init__()
        layers: list[nn.Module] = []
        for i, o in zip([channels, *widths], [*widths, latent_dim]):
            layers += [nn.MaxPool2d(2)] if layers else []
            layers += [nn.Conv2d(i, o, 3, padding=1), nn.ReLU(), nn.Dropout2d(dropout), nn.Conv2d(o, o, 3, padding=1)]
            layers += [nn.ReLU()]
        self.layers = nn.Sequential(*layers[:-1])

    def forward(self, features: Tensor) -> Tensor:
        return self.layers(features).mean((2, 3))


def by_area(masks: Tensor) -> Tensor:
    """Masks [B, M, H, W] with the raters of each image sorted by what they outlined, the smallest first."""
    order = masks.sum((2, 3)).argsort(dim=1, stable=True)
    return masks.gather(1, order[:, :, None, None].expand_as(masks))
