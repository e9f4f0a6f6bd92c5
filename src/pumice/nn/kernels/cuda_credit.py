"""Credit of presynaptic spikes (HM2-BP) in Triton, as the loop of `pumice.nn.kernels.credit`.

Tested for equality under Triton's interpreter, see `pumice.nn.kernels.cuda`.
"""

# mypy: disable-error-code="import-untyped, untyped-decorator, no-untyped-def"
# ruff: noqa: PLR0917
from __future__ import annotations

import torch
import triton
import triton.language as tl

BLOCK = 256


@triton.jit
def _credit(s, g, z, keep_u, keep_v, gain, per_step, count, error, potential, steps, n, block: tl.constexpr):
    i = tl.program_id(0).to(tl.int64) * block + tl.arange(0, block)
    inside = i < n
    zero = tl.full((block,), 0, tl.float32)
    to_next, later, voltage, arriving = zero, zero, zero, zero
    fired, at_spikes, everywhere, total = zero, zero, zero, zero
    for back in range(steps):
        at = (steps - 1 - back) * n + i
        spike = tl.load(s + at, inside, 0.0).to(tl.float32)
        of_spike = tl.load(g + at, inside, 0.0).to(tl.float32)
        to_next = keep_v * (later + (1 - later) * to_next)
        voltage = keep_v * voltage + spike * (1 - to_next)
        arriving = keep_u * arriving + voltage
        later = spike
        credited = gain * arriving
        tl.store(per_step + at, credited, inside)
        total += credited * tl.load(z + at, inside, 0.0).to(tl.float32)
        fired += spike
        at_spikes += spike * of_spike
        everywhere += of_spike
    tl.store(count + i, fired, inside)
    tl.store(potential + i, total, inside)
    tl.store(error + i, tl.where(fired > 0, at_spikes / tl.maximum(fired, 1.0), everywhere / steps), inside)


def credit(
    s: torch.Tensor,
    g: torch.Tensor,
    z: torch.Tensor,
    keep_u: float,
    keep_v: float,
    gain: float,
    per_step: torch.Tensor,
    count: torch.Tensor,
    error: torch.Tensor,
    potential: torch.Tensor,
) -> None:
    """See `pumice.nn.kernels.credit.credit`; tensors contiguous, (time, neuron)."""
    steps, n = z.shape
    _credit[(triton.cdiv(n, BLOCK),)](
        s, g, z, keep_u, keep_v, gain, per_step, count, error, potential, steps, n, block=BLOCK
    )
