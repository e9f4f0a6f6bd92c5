"""Training blocks on lava-dl SLAYER, and the switch to the chip's arithmetic."""

from pumice.nn.arms import AbstractArm, ConvArm, DenseArm, IdentityArm, TokenMixingArm
from pumice.nn.blocks import Conv, Dense, Flatten, Pool, Recurrent
from pumice.nn.cuba import CubaNeuron
from pumice.nn.delay import Delay
from pumice.nn.deploy import deploy, is_deployed
from pumice.nn.merge import Merge
from pumice.nn.readout import LinearArm
from pumice.nn.residual import Bottleneck, ResidualBlock
from pumice.nn.srm import SRMNeuron
from pumice.nn.stbp import STBPNeuron, set_gradient
from pumice.nn.tdbn import TDBN

__all__ = [
    "TDBN",
    "AbstractArm",
    "Bottleneck",
    "Conv",
    "ConvArm",
    "CubaNeuron",
    "Delay",
    "Dense",
    "DenseArm",
    "Flatten",
    "IdentityArm",
    "LinearArm",
    "Merge",
    "Pool",
    "Recurrent",
    "ResidualBlock",
    "SRMNeuron",
    "STBPNeuron",
    "TokenMixingArm",
    "deploy",
    "is_deployed",
    "set_gradient",
]
