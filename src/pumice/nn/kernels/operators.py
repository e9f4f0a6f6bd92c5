"""The compiled loops as operators of torch, so that torch.compile and torch.export take each for one opaque call.

Every operator writes into tensors that it is given and returns nothing; then its shapes need no rule of their own. In
eager mode a call goes straight to the loops: torch's dispatcher costs more than a short loop does.
"""

from __future__ import annotations

from typing import Any

import torch

from pumice.nn import kernels

NAMESPACE = "pumice"
_LIBRARY = torch.library.Library(NAMESPACE, "FRAGMENT")


class Operator:
    """A function of `kernels.cpu`, and of `kernels.cuda` if that has it, known to torch as `pumice::name`.

    Args:
        schema: In torch's notation; the first argument is a tensor.

    Example:
        >>> g, keep = torch.tensor([[0.0], [1.0]]), torch.tensor([0.5])
        >>> cuba_backward(g, keep, keep)
        >>> g.tolist(), str(torch.ops.pumice.cuba_backward.default._schema)
        ([[1.0], [1.0]], 'pumice::cuba_backward(Tensor(a!) g, Tensor keep_u, Tensor keep_v) -> ()')
    """

    def __init__(self, schema: str) -> None:
        self.name = schema.partition("(")[0]
        _LIBRARY.define(schema)
        for device in ("CPU", "CUDA"):
            _LIBRARY.impl(self.name, self._run_detached, device)
        torch.library.register_fake(f"{NAMESPACE}::{self.name}", _writes_nothing, lib=_LIBRARY)
        self.traced = getattr(getattr(torch.ops, NAMESPACE), self.name).default

    def __call__(self, *args: Any) -> None:
        """Run the loops, or, where torch only looks at what is called, the operator."""
        if torch.compiler.is_compiling() or type(args[0]) is not torch.Tensor:
            self.traced(*args)
        else:
            self.run(*args)

    def _run_detached(self, *args: Any) -> None:
        """As a node of a graph: an exported one hands over the parameters themselves."""
        self.run(*(arg.detach() if isinstance(arg, torch.Tensor) else arg for arg in args))

    def run(self, *args: Any) -> None:
        """The loops for the device of the first tensor."""
        getattr(_loops(args[0]), self.name)(*args)


def _loops(x: torch.Tensor) -> Any:
    return kernels.cuda if x.is_cuda else kernels.cpu


def _writes_nothing(*_args: Any) -> None:
    """On tensors without data."""


integrate_forward = Operator(
    "integrate_forward(Tensor x, Tensor keep, Tensor state, float scale, Tensor(a!) y) -> ()"
)
integrate_backward = Operator("integrate_backward(Tensor(a!) g, Tensor keep, Tensor y, Tensor(b!) g_decay) -> ()")
cuba_forward = Operator(
    "cuba_forward(Tensor x, Tensor keep_u, Tensor keep_v, Tensor state_u, Tensor state_v, float scale, "
    "float threshold, float resets_at, bool graded, Tensor(a!) u, Tensor(b!) v, Tensor(c!) s) -> ()"
)
cuba_backward = Operator("cuba_backward(Tensor(a!) g, Tensor keep_u, Tensor keep_v) -> ()")
deployed_forward = Operator(
    "deployed_forward(Tensor x, Tensor bias, Tensor keep_u, Tensor keep_v, Tensor(a!) state_u, Tensor(b!) state_v, "
    "float vth_mant, Tensor(c!) v, Tensor(d!) s) -> ()"
)
deployed_backward = Operator("deployed_backward(Tensor(a!) g, Tensor keep_u, Tensor keep_v, Tensor(b!) sums) -> ()")
stbp_backward = Operator(
    "stbp_backward(Tensor g_s, Tensor v, Tensor tau, float threshold, bool detached, Tensor(a!) g) -> ()"
)
stbp_backward_of = Operator(
    "stbp_backward_of(Tensor g_s, Tensor v, Tensor tau, float threshold, float scale, str kind, float a, float b, "
    "bool detached, Tensor(a!) g) -> ()"
)
surrogate_backward = Operator(
    "surrogate_backward(Tensor g_s, Tensor v, float threshold, float scale, str kind, float a, float b, "
    "Tensor(a!) g) -> ()"
)
credit = Operator(
    "credit(Tensor s, Tensor g, Tensor z, float keep_u, float keep_v, float gain, Tensor(a!) per_step, "
    "Tensor(b!) count, Tensor(c!) error, Tensor(d!) potential) -> ()"
)
any_step = Operator("any_step(Tensor x, bool by_step, Tensor(a!) found) -> ()")
changes = Operator("changes(Tensor values, float threshold, Tensor(a!) sent) -> ()")
delay_forward = Operator("delay_forward(Tensor x, Tensor floor, Tensor(a!) y, Tensor(b!) words) -> ()")
delay_backward = Operator(
    "delay_backward(Tensor g, Tensor y, Tensor words, Tensor floor, Tensor(a!) g_x, Tensor(b!) g_steps) -> ()"
)
quantise = Operator("quantise(Tensor weight, float step, int edge, Tensor(a!) quantised, Tensor(b!) passes) -> ()")
normalize_forward = Operator(
    "normalize_forward(Tensor x, Tensor gain, Tensor shift, float eps, bool unbiased, Tensor(a!) y, "
    "Tensor(b!) stats) -> ()"
)
normalize_backward = Operator(
    "normalize_backward(Tensor x, Tensor g, Tensor stats, bool unbiased, Tensor(a!) out, Tensor(b!) grads) -> ()"
)
normed_forward = Operator(
    "normed_forward(Tensor x, Tensor keep_u, Tensor keep_v, Tensor gain, Tensor shift, float eps, "
    "bool unbiased, float scale, float threshold, float resets_at, bool graded, "
    "Tensor(a!) y, Tensor(b!) stats, Tensor(c!) v, Tensor(d!) s) -> ()"
)
normed_backward = Operator(
    "normed_backward(Tensor g_s, Tensor v, Tensor y, Tensor stats, bool unbiased, Tensor keep_u, Tensor keep_v, "
    "float scale, float threshold, str kind, float a, float b, str reset, Tensor(a!) out, Tensor(b!) grads) -> ()"
)
