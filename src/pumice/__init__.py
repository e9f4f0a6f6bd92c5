"""pumice: train deep spiking networks with SLAYER and run them on Lava and Loihi 2, spike for spike the same.

Heavy parts (torch, Lava) load when they are first used.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from pumice import lava_compat
from pumice.errors import PumiceError

lava_compat.install()

if TYPE_CHECKING:
    from pumice.backends import run as run
    from pumice.backends.evaluate import evaluate as evaluate
    from pumice.backends.metrics import metrics as metrics
    from pumice.backends.verify import certify as certify
    from pumice.backends.verify import verify as verify
    from pumice.frameworks import from_norse as from_norse
    from pumice.frameworks import from_sinabs as from_sinabs
    from pumice.frameworks import from_snntorch as from_snntorch
    from pumice.frameworks import from_spikingjelly as from_spikingjelly
    from pumice.ir import Graph as Graph
    from pumice.lowering import lower as lower
    from pumice.netx import load as load
    from pumice.netx import load_named as load_named
    from pumice.netx import save as save
    from pumice.nir import from_nir as from_nir
    from pumice.nir import to_nir as to_nir
    from pumice.planner import plan as plan
    from pumice.quantization import quantize_ as quantize_
    from pumice.reporting import report as report

__version__ = "0.2.0"

_LAZY = {
    "Graph": "pumice.ir",
    "certify": "pumice.backends.verify",
    "evaluate": "pumice.backends.evaluate",
    "from_nir": "pumice.nir",
    "from_norse": "pumice.frameworks",
    "from_sinabs": "pumice.frameworks",
    "from_snntorch": "pumice.frameworks",
    "from_spikingjelly": "pumice.frameworks",
    "load": "pumice.netx",
    "load_named": "pumice.netx",
    "lower": "pumice.lowering",
    "metrics": "pumice.backends.metrics",
    "plan": "pumice.planner",
    "quantize_": "pumice.quantization",
    "report": "pumice.reporting",
    "run": "pumice.backends",
    "save": "pumice.netx",
    "to_nir": "pumice.nir",
    "verify": "pumice.backends.verify",
}

__all__ = [
    "Graph",
    "PumiceError",
    "__version__",
    "certify",
    "evaluate",
    "from_nir",
    "from_norse",
    "from_sinabs",
    "from_snntorch",
    "from_spikingjelly",
    "load",
    "load_named",
    "lower",
    "metrics",
    "plan",
    "quantize_",
    "report",
    "run",
    "save",
    "to_nir",
    "verify",
]


def __getattr__(name: str) -> Any:
    if name not in _LAZY:
        raise AttributeError(f"module 'pumice' has no attribute {name!r}")
    return getattr(import_module(_LAZY[name]), name)


def __dir__() -> list[str]:
    return __all__
