"""Training blocks on lava-dl SLAYER."""

from pumice import names
from pumice.requirements import check_packages

check_packages("train", "lava", needs="lava.lib.dl", purpose="pumice.nn")  # before the imports below fail

# ruff: noqa: E402
from pumice.nn.blocks import sigma_delta
from pumice.nn.blocks.activation import Activation, Neurons
from pumice.nn.blocks.channel_mixer import ChannelMixerBlock
from pumice.nn.blocks.current import Current
from pumice.nn.blocks.decoder import ConvT, Upsample
from pumice.nn.blocks.gradient import set_gradient_
from pumice.nn.blocks.lateral_inhibition import LateralInhibition
from pumice.nn.blocks.layers import Conv, Dense, Flatten, Pool, Recurrent
from pumice.nn.blocks.leaky_readout import LeakyReadout
from pumice.nn.blocks.linear_readout import LinearReadout
from pumice.nn.blocks.merge import Merge
from pumice.nn.blocks.patch_splitting import SpikingPatchSplitting
from pumice.nn.blocks.residual import Bottleneck, ResidualBlock
from pumice.nn.blocks.self_normalizing import SelfNormalizing
from pumice.nn.blocks.surrogate_module import SurrogateModule, surrogate_encoders
from pumice.nn.blocks.token_mixer import TokenMixerBlock
from pumice.nn.neurons.cuba import CubaNeuron
from pumice.nn.neurons.floating import FloatCubaNeuron
from pumice.nn.neurons.gradient import Gradient
from pumice.nn.neurons.hm2bp import HM2BP
from pumice.nn.neurons.sigma_delta import SigmaDeltaNeuron
from pumice.nn.neurons.srm import SRMNeuron
from pumice.nn.neurons.stbp import STBP
from pumice.nn.norms.bias_free_norm import BiasFreeNorm
from pumice.nn.norms.synchronize import synchronize_norms_
from pumice.nn.norms.tdbn import TDBN
from pumice.nn.synapses.base import AbstractSynapse
from pumice.nn.synapses.conv import ConvSynapse
from pumice.nn.synapses.conv_transpose import ConvTransposeSynapse, UpsampleSynapse
from pumice.nn.synapses.delay import Delay
from pumice.nn.synapses.dense import DenseSynapse
from pumice.nn.synapses.identity import IdentitySynapse
from pumice.nn.synapses.linear import LinearSynapse
from pumice.nn.synapses.one_to_one import OneToOneSynapse
from pumice.nn.synapses.token_mixing import TokenMixingSynapse

__all__ = [
    "HM2BP",
    "STBP",
    "TDBN",
    "AbstractSynapse",
    "Activation",
    "BiasFreeNorm",
    "Bottleneck",
    "ChannelMixerBlock",
    "Conv",
    "ConvSynapse",
    "ConvT",
    "ConvTransposeSynapse",
    "CubaNeuron",
    "Current",
    "Delay",
    "Dense",
    "DenseSynapse",
    "Flatten",
    "FloatCubaNeuron",
    "Gradient",
    "IdentitySynapse",
    "LateralInhibition",
    "LeakyReadout",
    "LinearReadout",
    "LinearSynapse",
    "Merge",
    "Neurons",
    "OneToOneSynapse",
    "Pool",
    "Recurrent",
    "ResidualBlock",
    "SRMNeuron",
    "SelfNormalizing",
    "SigmaDeltaNeuron",
    "SpikingPatchSplitting",
    "SurrogateModule",
    "TokenMixerBlock",
    "TokenMixingSynapse",
    "Upsample",
    "UpsampleSynapse",
    "from_nir",
    "set_gradient_",
    "sigma_delta",
    "surrogate_encoders",
    "synchronize_norms_",
]

__getattr__ = names.renamed(
    __name__,
    {
        # In a higher row: it reads files.
        "from_nir": "pumice.train.from_nir:from_nir",
        # Names of 0.1, until 0.3.
        "deploy": "pumice.quantization:quantize_",
        "is_deployed": "pumice.quantization:is_quantized",
        "set_gradient": "pumice.nn:set_gradient_",
        "STBPNeuron": "pumice.nn.blocks.gradient:stbp_neuron",
        "AbstractArm": "pumice.nn:AbstractSynapse",
        "ConvArm": "pumice.nn:ConvSynapse",
        "DenseArm": "pumice.nn:DenseSynapse",
        "IdentityArm": "pumice.nn:IdentitySynapse",
        "LinearArm": "pumice.nn:LinearSynapse",
        "TokenMixing": "pumice.nn:TokenMixingSynapse",
        "TokenMixingArm": "pumice.nn:TokenMixingSynapse",
    },
)
