"""Training blocks on lava-dl SLAYER."""

from importlib import import_module
from typing import Any

from pumice.nn.arms import AbstractArm, ConvArm, DenseArm, IdentityArm, TokenMixingArm
from pumice.nn.arms import TokenMixingArm as TokenMixing
from pumice.nn.bias_free_norm import BiasFreeNorm
from pumice.nn.blocks import Conv, Dense, Flatten, Pool, Recurrent
from pumice.nn.channel_mixer import ChannelMixerBlock
from pumice.nn.cuba import CubaNeuron
from pumice.nn.current import Current
from pumice.nn.delay import Delay
from pumice.nn.linear_readout import LinearReadout
from pumice.nn.merge import Merge
from pumice.nn.neurons import Activation, Neurons
from pumice.nn.patch_splitting import SpikingPatchSplitting
from pumice.nn.readout import LinearArm
from pumice.nn.residual import Bottleneck, ResidualBlock
from pumice.nn.srm import SRMNeuron
from pumice.nn.stbp import STBPNeuron, set_gradient
from pumice.nn.surrogate_module import SurrogateModule, surrogate_encoders
from pumice.nn.tdbn import TDBN
from pumice.nn.token_mixer import TokenMixerBlock

__all__ = [
    "TDBN",
    "AbstractArm",
    "Activation",
    "BiasFreeNorm",
    "Bottleneck",
    "ChannelMixerBlock",
    "Conv",
    "ConvArm",
    "CubaNeuron",
    "Current",
    "Delay",
    "Dense",
    "DenseArm",
    "Flatten",
    "IdentityArm",
    "LinearArm",
    "LinearReadout",
    "Merge",
    "Neurons",
    "Pool",
    "Recurrent",
    "ResidualBlock",
    "SRMNeuron",
    "STBPNeuron",
    "SpikingPatchSplitting",
    "SurrogateModule",
    "TokenMixerBlock",
    "TokenMixing",
    "TokenMixingArm",
    "set_gradient",
    "surrogate_encoders",
]

_FORMERLY_HERE = {"deploy": "quantize_", "is_deployed": "is_quantized"}


def __getattr__(name: str) -> Any:
    """The names of 0.1, until 0.3."""
    if name not in _FORMERLY_HERE:
        raise AttributeError(f"module 'pumice.nn' has no attribute {name!r}")
    return getattr(import_module("pumice.quantization"), _FORMERLY_HERE[name])
