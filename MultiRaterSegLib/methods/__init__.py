"""The methods, one file a paper. A new one is a file and a line here."""

from ..method import Method
from .ambiguous_text_diff import AmbiguousTextDiff
from .diff_dpo import DiffDPO
from .diffoseg import DiffOSeg
from .dpersona import DPersona
from .harmonizer import Harmonizer
from .prob_unet import ProbUNet
from .prosona import ProSona
from .unet_heads import UNetHeads
from .unet_single import UNetSingle

METHODS: dict[str, type[Method]] = {
    "prosona": ProSona,
    "harmonizer": Harmonizer,
    "ambiguous_text_diff": AmbiguousTextDiff,
    "diff_dpo": DiffDPO,
    "diffoseg": DiffOSeg,
    "dpersona": DPersona,
    "prob_unet": ProbUNet,
    "unet_heads": UNetHeads,
    "unet_single": UNetSingle,
}
