"""Training blocks on lava-dl SLAYER, and the switch to the chip's arithmetic."""

from pumice.nn.arms import AbstractArm, ConvArm, DenseArm, IdentityArm, TokenMixingArm
from pumice.nn.blocks import Conv, Dense, Flatten, Pool, Recurrent
from pumice.nn.cuba import CubaNeuron
from pumice.nn.delay import Delay
from pumice.nn.deploy import deploy, is_deployed
from pumice.nn.merge import Merge
from pumice.nn.srm import SRMNeuron
from pumice.nn.tdbn import TDBN

__all__ = [
    "TDBN",
    "AbstractArm",
    "Conv",
    "ConvArm",
    "CubaNeuron",
    "Delay",
    "Dense",
    "DenseArm",
    "Flatten",
    "IdentityArm",
    "Merge",
    "Pool",
    "Recurrent",
    "SRMNeuron",
    "TokenMixingArm",
    "deploy",
    "is_deployed",
]
