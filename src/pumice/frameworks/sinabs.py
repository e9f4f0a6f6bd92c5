"""Networks of sinabs (SynSense)."""

from __future__ import annotations

from typing import Any

import torch

from pumice.frameworks.converting import convert
from pumice.frameworks.facts import (
    GAIN_STAYS,
    Feedback,
    Framework,
    NeuronFacts,
    Time,
    is_one,
    kind_of,
    plain,
    refusal,
)
from pumice.frameworks.kinds import in_order
from pumice.frameworks.network import ConvertedNetwork

_PACKAGE = "sinabs"
_SPIKING, _READOUTS = ("IAF", "LIF", "ALIF"), ("ExpLeak",)
_FORMS = [f"{kind}{form}" for kind in (*_SPIKING, *_READOUTS) for form in ("", "Squeeze")]
_KINDS = [*_FORMS, *(f"{kind}Recurrent" for kind in _SPIKING)]


def from_sinabs(module: Any, example: Any, *, approximate: bool = False) -> ConvertedNetwork:
    r"""A network of sinabs as one of `pumice.nn`, with the same spikes.

    .. math::
        i = \alpha_{syn} (i + x), \quad v = \alpha v + (1 - \alpha) i, \quad s = [v \ge \vartheta], \quad
        v = 0 \text{ where } s, \qquad \alpha = e^{-1 / \tau}

    `IAF`, `LIF`, their squeezed and recurrent forms with ``spike_fn=SingleSpike``, ``reset_fn=MembraneReset()`` are
    the chip's neurons: the factors :math:`1 - \alpha` (`norm_input`) and :math:`\alpha_{syn}` scale the threshold
    instead. `ExpLeak` at the end is a read-out. sinabs' own default, several spikes a step and reset by subtraction,
    is only nearly the same, as is a threshold that adapts (`ALIF`).

    Args:
        module: A `torch.nn.Module` with sinabs' neurons and torch's layers.
        example: What its forward takes, as in training: (batch, time, ...), or (batch * time, ...) of squeezed
            layers.
        approximate: Take several spikes a step as one, resets by subtraction as resets to zero, a smallest voltage as
            none, and a threshold that adapts as a fixed one; the report counts the spikes that change.

    Returns:
        The network, as `ConvertedNetwork` says.

    Raises:
        InputError: As `ConvertedNetwork` says.

    Example:
        >>> from sinabs.activation import MembraneReset, SingleSpike  # doctest: +SKIP
        >>> from sinabs.layers import LIF  # doctest: +SKIP
        >>> lif = LIF(tau_mem=10.0, spike_fn=SingleSpike, reset_fn=MembraneReset())  # doctest: +SKIP
        >>> network = torch.nn.Sequential(torch.nn.Linear(4, 2), lif)  # doctest: +SKIP
        >>> from_sinabs(network, torch.ones(1, 10, 4))(torch.ones(1, 4, 10)).shape  # doctest: +SKIP
        torch.Size([1, 2, 10])
    """
    return convert(module, example, _SINABS, approximate=approximate)


def _neuron(path: str, module: torch.nn.Module) -> NeuronFacts | None:
    kind = kind_of(module, _PACKAGE)
    if kind is None or not hasattr(module, "alpha_mem_calculated"):
        return None
    layer: Any = module
    if kind not in _KINDS:
        raise refusal(path, f"neurons must be {', '.join(_KINDS)}, got {kind}", "use one of these")
    reads_out = kind.startswith(_READOUTS)
    alpha, alpha_syn = plain(layer.alpha_mem_calculated), layer.alpha_syn_calculated
    gain = 1 - alpha if layer.norm_input else 1.0
    if alpha_syn is not None:
        gain = gain * plain(alpha_syn)
    adapts = kind.startswith("ALIF")
    keeps_current = (
        0.0 if alpha_syn is None else gain if adapts else plain(alpha_syn)
    )  # ALIF scales its current's state
    recurs = kind.endswith("Recurrent")
    time: Time = "time in batch" if kind.endswith("Squeeze") else "batch first"
    given = [getattr(layer, name, None) for name in ("batch_size", "num_timesteps")]
    batch_size, n_steps = (None if n is None or n < 0 else int(n) for n in given)
    learned = [p for p in layer.parameters(recurse=False) if p.requires_grad]
    return NeuronFacts(
        threshold=1.0 if reads_out else plain(layer.b0 if adapts else layer.spike_threshold),
        current_decay=1 - keeps_current,
        voltage_decay=1 - alpha,
        gain=gain,
        fires_at_threshold=True,
        learns_decays=bool(learned),
        time=time,
        batch_size=batch_size,
        n_steps=n_steps,
        reads_out=reads_out,
        nearly=(*(() if reads_out else _nearly(path, layer)), *_floor(layer)),
        notes=(GAIN_STAYS,) if learned and not is_one(gain) else (),
        feedback=Feedback(in_order(layer.rec_connect), starts_late=True) if recurs else None,
    )


def _nearly(path: str, layer: Any) -> list[str]:
    found = []
    spike_fn, reset_fn = layer.spike_fn, layer.reset_fn
    fires = getattr(spike_fn, "__name__", type(spike_fn).__name__)
    if fires != "SingleSpike" and getattr(spike_fn, "max_num_spikes_per_bin", None) != 1:
        found.append(f"spike_fn must be SingleSpike (one spike a step), got {fires}; train with SingleSpike")
    if type(reset_fn).__name__ != "MembraneReset":
        found.append(
            "reset_fn must be MembraneReset() (the chip's neurons are set to 0 when they fire), got "
            f"{type(reset_fn).__name__}; train with MembraneReset()"
        )
    elif reset_fn.reset_value != 0:
        raise refusal(
            path,
            f"reset_value must be 0, got {reset_fn.reset_value} (sinabs adds it in every step, to all neurons)",
            "use MembraneReset()",
        )
    if bool((torch.as_tensor(getattr(layer, "adapt_scale", 0)) != 0).any()):
        found.append(
            f"adapt_scale must be 0 (the chip's thresholds do not adapt), got {plain(layer.adapt_scale)}; train LIF"
        )
    return found


def _floor(layer: Any) -> tuple[str, ...]:
    if layer.min_v_mem is None:
        return ()
    return (f"min_v_mem must be None, got {plain(layer.min_v_mem)}; train without it",)


def _to_rest(module: torch.nn.Module) -> None:
    parts: list[Any] = [part for part in module.modules() if kind_of(part, _PACKAGE) is not None]
    for part in parts:
        if hasattr(part, "reset_states") and part.is_state_initialised():
            part.reset_states(randomize=False)


_SINABS = Framework("sinabs", _PACKAGE, _neuron, _to_rest, layers=("sinabs.layers",))
