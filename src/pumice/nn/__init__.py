"""Training blocks on lava-dl SLAYER, and the switch to the chip's arithmetic."""

from pumice.nn.blocks import Conv, Dense, Flatten, Pool, Recurrent
from pumice.nn.cuba import CubaNeuron
from pumice.nn.deploy import deploy, is_deployed
from pumice.nn.tdbn import TDBN

__all__ = ["TDBN", "Conv", "CubaNeuron", "Dense", "Flatten", "Pool", "Recurrent", "deploy", "is_deployed"]
