"""Harmonizer: harmonised feature conditioning and frequency-prompt personalisation (Karimijafarbigloo et al. 2026).

Phase 1 ("latent") trains a probabilistic U-Net whose levels are modulated by a noise harmonizer: learned artifact tokens
attend to a level's features, and what they find becomes a scale and a shift for each channel. A GED loss makes prior
samples vary as the readers do. Phase 2 ("personalise") freezes all of it and trains a personaliser: Haar detail bands of
the harmonised features meet a prompt that the rater weights, and a bank of prior samples; out comes a rater's z'.

    phase 1   L = L_seg(y(z_q), A_k) + l_KL KL(q || p) + l_harm sum_l (|gamma_l - 1|^2 + |beta_l|^2) + l_GED L_GED     (8)
    phase 2   L = sum_i E_z L_seg(y(z'_i), A_i)                                                                          (6)

What the paper leaves open, and what we chose:
* Which levels: section 3.1 says decoder features, the pseudo-code harmonises what the encoder gives. Both: the bottleneck
  (so that the prior, which sits on it, sees harmonised features too) and every level of the decoder.
* Sharing weights over levels of different widths: tokens, W_Q, W_K, W_V and W_1 are shared; a level has its own projection
  to D_h channels and its own W_2. 16 tokens and D_h = 44 make the paper's 0.14 M on a ResNet-34 U-Net. sigma is GELU.
  W_2 starts at zero: at first nothing is changed, where the penalty has its minimum.
* Equation 4 sums over D' what it indexes by N: w is, at every place, the softmax over N of a pointwise convolution of X_H
  (averaged over the plane first, details would cancel), and c_i, N x D' numbers, is all that belongs to a rater. N = 5
  components on a 32 x 32 grid, resized to the bands, make the paper's 0.07 M; at full resolution one would take it all.
* X_H and P enter the attention side by side. Large-kernel attention is that of the Visual Attention Network.
* z' is one vector, so features must be averaged. The mean of an inverse Haar transform is half the mean of LL: a linear
  projection would lose all detail. So a 1x1 convolution with GELU joins X' with what was attended to before averaging.
* Fusing: z' = mean of the attended bank + W(joined features), W zero at first: z' starts where the decoder knows it.
* L_seg is Dice + `cross_entropy_weight` x cross-entropy (1 in the paper). K in the GED loss is not printed: 8.
  Its distance is 1 - soft IoU (section 3.3). Equation 6 as a mean over raters; the posterior sees one reader.
* Bank: M = 100 samples of the prior, drawn anew for each step and each sample.

A style is c_i, so interpolation mixes how two raters weight the prompt components.
"""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ..losses import energy_distance, segmentation_loss
from ..method import Batch, Expert, Method, Stage, Style
from ..networks.latent import probabilities
from ..networks.latent_unet import Encoded, LatentUNet, LatentUNetConfig
from ..networks.wavelet import haar_dwt, haar_idwt
from ..noise import Noise


@dataclass(frozen=True)
class Config(LatentUNetConfig):
    """The paper's numbers (section 4.2, appendix A); sizes it does not print are explained above.

    Ablations: harmonize and frequency_prompts can be false, energy_weight (of the GED loss) 0. experts_per_step: 0 = all.
    """

    harmonize: bool = True
    frequency_prompts: bool = True
    artifact_tokens: int = 16
    token_dim: int = 44
    prompt_components: int = 5
    prompt_grid: int = 32
    bank_size: int = 100
    bank_size_inference: int = 100
    population_samples: int = 8
    cross_entropy_weight: float = 1.0
    kl_weight: float = 2e-3
    harmonizer_weight: float = 3e-4
    energy_weight: float = 1.0
    experts_per_step: int = 0


class Harmonizer(Method):
    name: ClassVar[str] = "harmonizer"
    title: ClassVar[str] = "Harmonizer"
    Config: ClassVar[type] = Config

    def __init__(self, config: Config, channels: int, labels: Sequence[str], experts: Sequence[Expert]):
        super().__init__()
        self.config, self.channels = config, channels
        self.labels, self.experts = tuple(labels), tuple(experts)
        c = config
        self.unet = LatentUNet(c, channels, len(labels))
        backbone = self.unet.backbone
        self.harmonizer = (
            NoiseHarmonizer(backbone.level_channels, c.artifact_tokens, c.token_dim) if c.harmonize else None
        )
        features, raters = backbone.feature_channels, len(experts)
        self.personaliser = (
            FrequencyPrompts(features, c.latent_dim, raters, c.prompt_components, c.prompt_grid)
            if c.frequency_prompts
            else ChannelGates(features, c.latent_dim, raters)
        )

    # -- use ----------------------------------------------------------------------------------------------------------

    def encode(self, image: Tensor) -> Encoded:
        return self._harmonized(image)[0]

    def sample(self, encoded: Encoded, noise: Noise, style: Style | None = None) -> Tensor:
        prior = encoded.prior
        batch, dim = prior.mean.shape
        if style is None:
            z = prior.place(noise.spread("latent", batch, dim))
        else:
            bank = noise.normal("bank", batch, (self.config.bank_size_inference, dim)).movedim(2, 1)  # [S, K, B, D]
            z = self.personaliser(encoded.features, style, prior.place(bank))
        return probabilities(self.unet.decode(encoded, z))

    def expert_style(self, encoded: Encoded | None, expert: int) -> Style:
        """[1, 1, N, D'], the rater's weights of the prompt components (c_i); [1, 1, D/4] without frequency prompts."""
        return self.personaliser.rater_weights[expert][None, None]

    # -- training -----------------------------------------------------------------------------------------------------

    def stages(self) -> tuple[Stage, ...]:
        harmonized = (self.unet,) if self.harmonizer is None else (self.unet, self.harmonizer)
        return (
            Stage("latent", self.latent_loss, harmonized),
            Stage("personalise", self.personalise_loss, (self.personaliser,), "experts"),
        )

    def latent_loss(self, batch: Batch) -> dict[str, Tensor]:
        """Phase 1, equation 8."""
        c = self.config
        encoded, penalty = self._harmonized(batch.image)
        annotation = batch.random_rater()
        posterior = self.unet.posterior(batch.image, annotation)
        z = posterior.place(torch.randn_like(posterior.mean))[None]
        z = torch.cat([z, encoded.prior_samples(c.population_samples)])
        logits = self.unet.decode(encoded, z).squeeze(2)  # [1 + K, B, H, W]
        terms = {
            "segmentation": segmentation_loss(logits[:1], annotation.movedim(1, 0), c.cross_entropy_weight),
            "kl": posterior.kl(encoded.prior).mean(),
            "harmonizer": penalty,
            "energy": energy_distance(logits[1:].sigmoid(), batch.masks),  # equation 7
        }
        weights = {
            "segmentation": 1.0,
            "kl": c.kl_weight,
            "harmonizer": c.harmonizer_weight,
            "energy": c.energy_weight,
        }
        return {"loss": sum(weights[name] * value for name, value in terms.items()), **terms}

    def personalise_loss(self, batch: Batch) -> dict[str, Tensor]:
        """Phase 2, equation 6; only the personaliser learns."""
        c = self.config
        with torch.no_grad():
            encoded, _ = self._harmonized(batch.image)
        chosen = torch.randperm(len(self.experts))[: c.experts_per_step or None].tolist()
        weights = self.personaliser.rater_weights[chosen][:, None]  # [E, 1, ...]
        bank = encoded.prior_samples(c.bank_size)[None]  # [1, K, B, D]
        z = self.personaliser(encoded.features, weights, bank)
        logits = self.unet.decode(encoded, z).squeeze(2)
        targets = torch.stack([batch.expert_mask(self.experts[e].name) for e in chosen])
        return {"loss": segmentation_loss(logits, targets, c.cross_entropy_weight)}

    def _harmonized(self, image: Tensor) -> tuple[Encoded, Tensor]:
        """Harmonised features with their prior, and the penalty sum_l (|gamma_l - 1|^2 + |beta_l|^2), batch mean."""
        if self.harmonizer is None:
            return self.unet(image), image.new_zeros(())
        penalties = []

        def adjust(level: int, features: Tensor) -> Tensor:
            change, shift = self.harmonizer(level, features)  # gamma_l - 1, beta_l
            penalties.append(change.square().sum(-1).mean() + shift.square().sum(-1).mean())
            return (1 + change)[..., None, None] * features + shift[..., None, None]  # equation 3

        return self.unet(image, adjust), torch.stack(penalties).sum()


class NoiseHarmonizer(nn.Module):
    """Features of any level [B, C_l, H, W] -> gamma_l - 1 and beta_l, each [B, C_l] (section 3.1, equation 2)."""

    def __init__(self, level_channels: Sequence[int], tokens: int, dim: int):
        super().__init__()
        self.tokens = nn.Parameter(torch.randn(tokens, dim))
        self.query, self.key, self.value = (nn.Linear(dim, dim, bias=False) for _ in range(3))
        self.first = nn.Linear(dim, dim)  # W_1
        self.project = nn.ModuleList(nn.Linear(channels, dim, bias=False) for channels in level_channels)
        self.second = nn.ModuleList(nn.Linear(dim, 2 * channels) for channels in level_channels)  # W_2
        for layer in self.second:
            nn.init.zeros_(layer.weight)
            nn.init.zeros_(layer.bias)

    def forward(self, level: int, features: Tensor) -> tuple[Tensor, Tensor]:
        attended = self.attend(level, features)
        return self.second[level](F.gelu(self.first(attended.mean(1)))).chunk(2, -1)

    def attend(self, level: int, features: Tensor) -> Tensor:
        """f'_l [B, tokens, D_h] = softmax(Q K^T / sqrt(D_h)) V with K = W_K W_l f, V = W_V W_l f.

        Keys and values are linear in f, so the tokens go to f's channels instead of every pixel to D_h.
        """
        project = self.project[level].weight  # W_l [D_h, C]
        asked = self.query(self.tokens) @ self.key.weight @ project  # Q W_K W_l, [tokens, C]
        flat = features.flatten(2)  # [B, C, HW]
        attention = (asked @ flat / self.tokens.shape[-1] ** 0.5).softmax(-1)  # [B, tokens, HW]
        return self.value(self.project[level](attention @ flat.transpose(1, 2)))


class LargeKernelAttention(nn.Module):
    """Visual Attention Network: x * conv1x1(7x7 depthwise, dilation 3(5x5 depthwise(x))), a 21 x 21 view."""

    def __init__(self, channels: int):
        super().__init__()
        self.near = nn.Conv2d(channels, channels, 5, padding=2, groups=channels)
        self.far = nn.Conv2d(channels, channels, 7, padding=9, dilation=3, groups=channels)
        self.mix = nn.Conv2d(channels, channels, 1)

    def forward(self, x: Tensor) -> Tensor:
        return x * self.mix(self.far(self.near(x)))


class Personaliser(nn.Module, ABC):
    """Harmonised features, a rater's weights and a bank of prior samples -> that rater's z' (section 3.2, figure 2)."""

    rater_weights: nn.Parameter
    """c_i of every rater, [E, ...]."""

    def __init__(self, channels: int, latent_dim: int):
        super().__init__()
        low = channels // 4  # D / 4
        self.reduce = nn.Conv2d(channels, low, 1, bias=False)  # W_d
        self.query = nn.Linear(low, low)
        self.key = nn.Linear(latent_dim, low, bias=False)
        self.join = nn.Conv2d(low + latent_dim, channels, 1)
        self.out = nn.Linear(channels, latent_dim)
        nn.init.zeros_(self.out.weight)
        nn.init.zeros_(self.out.bias)

    @abstractmethod
    def recalibrate(self, features: Tensor, weights: Tensor) -> tuple[Tensor, Tensor]:
        """[B, D, H, W], weights [S, B or 1, ...] -> X_d [S, B, D/4, H/2, W/2] and X' [S, B, D/4, H, W]."""

    def forward(self, features: Tensor, weights: Tensor, bank: Tensor) -> Tensor:
        """features [B, D, H, W], weights [S or 1, B or 1, ...], bank [S or 1, K, B, L] -> z' [S, B, L]."""
        context, full = self.recalibrate(features, weights)
        attended = self.look_up(context, bank)  # [S, B, L, h, w]
        full = full.expand(len(attended), -1, -1, -1, -1)
        spread = F.interpolate(attended.flatten(0, 1), scale_factor=2.0)
        joined = F.gelu(self.join(torch.cat([full.flatten(0, 1), spread], 1))).mean((2, 3))
        return attended.mean((3, 4)) + self.out(joined.unflatten(0, attended.shape[:2]))

    def look_up(self, context: Tensor, bank: Tensor) -> Tensor:
        """Each place of context [S or 1, B, c, h, w] asks the bank [S or 1, K, B, L] -> [S, B, L, h, w]."""
        samples = max(len(context), len(bank))
        asked = self.query(context.flatten(3).transpose(2, 3)).expand(samples, -1, -1, -1)  # [S, B, hw, c]
        codes = bank.transpose(1, 2).expand(samples, -1, -1, -1)  # [S, B, K, L]
        found = F.scaled_dot_product_attention(asked, self.key(codes), codes)  # values are the codes themselves
        return found.transpose(2, 3).unflatten(-1, context.shape[-2:])


class FrequencyPrompts(Personaliser):
    """The paper's: detail bands of the Haar transform meet a prompt that the rater weights."""

    def __init__(self, channels: int, latent_dim: int, raters: int, components: int, grid: int):
        super().__init__(channels, latent_dim)
        low = channels // 4
        high = 3 * low  # D'
        self.prompts = nn.Parameter(torch.rand(components, high, grid, grid))  # P_c
        self.rater_weights = nn.Parameter(torch.randn(raters, components, high))
        self.choose = nn.Conv2d(high, components, 1)  # PWC
        self.smooth = nn.Conv2d(high, high, 3, padding=1)
        self.attention = LargeKernelAttention(2 * high)
        self.refine = nn.Conv2d(2 * high, high, 1)
        self.context = nn.Conv2d(high + low, low, 3, padding=1)

    def recalibrate(self, features: Tensor, weights: Tensor) -> tuple[Tensor, Tensor]:
        low, *details = haar_dwt(self.reduce(features))  # X_LL; X_LH, X_HL, X_HH
        high = torch.cat(details, 1)  # X_H [B, D', h, w]
        prompt = self.prompt(high, weights)  # [S, B, D', h, w]
        raters, batch = prompt.shape[:2]
        high, low = (x.expand(raters, *x.shape).flatten(0, 1) for x in (high, low))
        refined = self.refine(self.attention(torch.cat([high, prompt.flatten(0, 1)], 1)))  # X'_H, equation 5
        context = self.context(torch.cat([refined, low], 1))
        full = haar_idwt(low, *refined.chunk(3, 1))
        return context.unflatten(0, (raters, batch)), full.unflatten(0, (raters, batch))

    def prompt(self, high: Tensor, weights: Tensor) -> Tensor:
        """P [S, B, D', h, w] = conv3x3(sum_n w_n c_i,n P_n), w = softmax(PWC(X_H)) over the components (equation 4)."""
        share = self.choose(high).softmax(1)  # w [B, N, h, w]
        components = F.interpolate(self.prompts, high.shape[-2:], mode="bilinear", align_corners=False)
        located = share[:, :, None] * components  # [B, N, D', h, w]
        prompt = torch.einsum("sbnc,bnchw->sbchw", weights.expand(-1, len(high), -1, -1), located)
        return self.smooth(prompt.flatten(0, 1)).unflatten(0, prompt.shape[:2])


class ChannelGates(Personaliser):
    """What is left without wavelet and prompts (ablation): a rater scales each channel, weights [S, B or 1, D/4]."""

    def __init__(self, channels: int, latent_dim: int, raters: int):
        super().__init__(channels, latent_dim)
        self.rater_weights = nn.Parameter(torch.randn(raters, channels // 4))
        self.context = nn.Conv2d(channels // 4, channels // 4, 3, padding=1)

    def recalibrate(self, features: Tensor, weights: Tensor) -> tuple[Tensor, Tensor]:
        full = weights[..., None, None] * self.reduce(features)
        context = self.context(F.avg_pool2d(full.flatten(0, 1), 2))
        return context.unflatten(0, full.shape[:2]), full
