"""Networks of snnTorch, SpikingJelly, Norse and sinabs as networks of `pumice.nn`, with the same spikes."""

from pumice.frameworks.network import ConvertedNetwork
from pumice.frameworks.norse import from_norse
from pumice.frameworks.sinabs import from_sinabs
from pumice.frameworks.snntorch import from_snntorch
from pumice.frameworks.spikingjelly import from_spikingjelly

__all__ = ["ConvertedNetwork", "from_norse", "from_sinabs", "from_snntorch", "from_spikingjelly"]
