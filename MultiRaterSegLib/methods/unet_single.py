"""U-Nets trained on a single reader style each: the upper rows of the papers' tables ("U-Net (A1)" .. "U-Net (A4)").

As unet_heads, but nothing is shared: every expert has a whole U-Net that never sees another expert's masks. One training
stage carries them all; they see the same images, have no parameter in common, and so learn what they would learn alone
(except that a limit on the gradient's norm is a limit on them together). What the population and a mixture of styles
are is chosen as in unet_heads.
"""

from typing import ClassVar

from torch import nn

from .unet_heads import Config, StyledUNet, UNetHeads


class UNetSingle(UNetHeads):
    name: ClassVar[str] = "unet_single"
    title: ClassVar[str] = "U-Nets, one per style"
    Config: ClassVar[type] = Config

    def make_networks(self) -> nn.ModuleList:
        return nn.ModuleList(StyledUNet(self.config, self.channels, len(self.labels), 1) for _ in self.experts)
