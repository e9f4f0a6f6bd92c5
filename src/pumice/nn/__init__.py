"""Training blocks on lava-dl SLAYER, and the switch to the chip's arithmetic."""

from pumice.nn.arms import AbstractArm, ConvArm, DenseArm, IdentityArm, TokenMixingArm
from pumice.nn.blocks import Conv, Dense, Flatten, Pool, Recurrent
from pumice.nn.cuba import CubaNeuron
from pumice.nn.deploy import deploy, is_deployed
from pumice.nn.merge import Merge
from pumice.nn.tdbn import TDBN

__all__ = [
    "TDBN",
    "AbstractArm",
    "Conv",
    "ConvArm",
    "CubaNeuron",
    "Dense",
    "DenseArm",
    "Flatten",
    "IdentityArm",
    "Merge",
    "Pool",
    "Recurrent",
    "TokenMixingArm",
    "deploy",
    "is_deployed",
]
