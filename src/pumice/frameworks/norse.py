"""Networks of Norse (Pehle and Pedersen, 2021)."""

from __future__ import annotations

from typing import Any

import torch

from pumice.frameworks.converting import convert
from pumice.frameworks.facts import Feedback, Framework, NeuronFacts, kind_of, learns, plain, refusal
from pumice.frameworks.kinds import linear_of
from pumice.frameworks.network import ConvertedNetwork

_PACKAGE = "norse"
_SPIKING = ("LIFCell", "LIF", "LIFRecurrentCell", "LIFRecurrent", "LIFBoxCell", "IAFCell", "IAF")
_READOUTS = ("LICell", "LI", "LIBoxCell")
_AUTAPSES = "it has no connection of a neuron to itself; trained further, there may be one"
_TRANSPARENT = frozenset({"SequentialState"})


def from_norse(module: Any, example: Any, *, approximate: bool = False) -> ConvertedNetwork:
    r"""A network of Norse as one of `pumice.nn`, with the same spikes.

    .. math::
        i = i + x, \quad v = v + \frac{dt}{\tau_{mem}} (v_{leak} - v + i), \quad s = [v > v_{th}], \quad
        v = v_{reset} \text{ where } s, \quad i = i - \frac{dt}{\tau_{syn}} i

    `LIFCell`, `LIF`, `LIFBoxCell`, and `LIFRecurrentCell` and `LIFRecurrent` with their own weights, are the chip's
    neurons: voltages are counted from `v_reset`, and the factor :math:`dt / \tau_{mem}` of the current scales the
    threshold instead. `LIBoxCell`, `LICell` and `LI` at the end are read-outs.

    Args:
        module: A `torch.nn.Module` with Norse's neurons and torch's layers, such as a `SequentialState`.
        example: What its forward takes, as in training: (batch, ...) of cells, which are called for 8 steps, or
            (time, batch, ...) of `LIF` or of a forward that has the loop.
        approximate: Take resets by subtraction, and a start at another voltage than the reset's, as what the chip
            does; the report counts the spikes that change.

    Returns:
        The network, as `ConvertedNetwork` says.

    Raises:
        InputError: As `ConvertedNetwork` says.

    Example:
        >>> import norse.torch  # doctest: +SKIP
        >>> network = norse.torch.SequentialState(torch.nn.Linear(4, 2), norse.torch.LIFCell())  # doctest: +SKIP
        >>> from_norse(network, torch.ones(1, 4))(torch.ones(1, 4, 10)).shape  # doctest: +SKIP
        torch.Size([1, 2, 10])
    """
    return convert(module, example, _NORSE, approximate=approximate)


def _neuron(path: str, module: torch.nn.Module) -> NeuronFacts | None:
    kind = kind_of(module, _PACKAGE)
    if kind is None or not hasattr(module, "p") or not hasattr(module, "dt"):
        return None
    if kind not in _SPIKING and kind not in _READOUTS:
        allowed = ", ".join([*_SPIKING, *_READOUTS])
        raise refusal(path, f"neurons must be {allowed}, got {kind}", "use one of these")
    cell: Any = module
    p, dt = cell.p, cell.dt
    leaks, has_current = hasattr(p, "tau_mem_inv"), hasattr(p, "tau_syn_inv")
    decay = plain(torch.as_tensor(dt * p.tau_mem_inv)) if leaks else 0.0
    current_decay = plain(torch.as_tensor(dt * p.tau_syn_inv)) if has_current else 1.0
    for name, value in (("dt * tau_mem_inv", decay), ("dt * tau_syn_inv", current_decay)):
        if not bool(((torch.as_tensor(value) >= 0) & (torch.as_tensor(value) <= 1)).all()):
            raise refusal(path, f"{name} must lie in 0..1, got {value}", "use a shorter dt or a longer time constant")
    reads_out, recurs = kind in _READOUTS, "Recurrent" in kind
    leak = plain(p.v_leak) if leaks else 0.0
    rest = leak if reads_out else plain(p.v_reset)
    nearly = []
    if not reads_out and bool((torch.as_tensor(leak) != torch.as_tensor(rest)).any()):
        nearly.append(f"v_leak, where voltages start, must be v_reset, got {leak} and {rest}; equate them")
    method = getattr(p, "reset_method", None)
    if method is not None and method.__name__ != "reset_value":
        nearly.append(
            "reset_method must be reset_value (the chip's neurons are set to 0 when they fire), got "
            f"{method.__name__}; train with reset_value"
        )
    if reads_out and bool((torch.as_tensor(leak) != 0).any()):
        raise refusal(
            path, f"a read-out must leak to 0, got v_leak {leak}", "add it to the answer outside of the network"
        )
    return NeuronFacts(
        threshold=1.0 if reads_out else plain(torch.as_tensor(p.v_th - torch.as_tensor(rest))),
        current_decay=current_decay,
        voltage_decay=decay,
        gain=decay if leaks else 1.0,
        drive=_drive(path, torch.as_tensor(decay * (leak - rest))),
        learns_decays=learns(getattr(p, "tau_mem_inv", None), getattr(p, "tau_syn_inv", None)),
        time="calls" if kind.endswith("Cell") else "time first",
        reads_out=reads_out,
        nearly=tuple(nearly),
        notes=(_AUTAPSES,) if recurs and not cell.autapses else (),
        entry=(linear_of(cell.input_weights),) if recurs else (),
        feedback=Feedback((linear_of(cell.recurrent_weights),)) if recurs else None,
    )


def _drive(path: str, found: torch.Tensor) -> float:
    """What a leak that is not to the reset voltage adds in each step."""
    first = found.flatten()[0]
    if bool((found != first).any()):
        raise refusal(
            path,
            f"dt * tau_mem_inv * (v_leak - v_reset) must be one number for all neurons, got {found.tolist()}",
            "set v_reset to v_leak",
        )
    return float(first)


def _to_rest(module: torch.nn.Module) -> None:
    """Norse's modules hold no state: it is passed to them."""


def _again(module: torch.nn.Module, args: tuple[Any, ...], before: Any) -> Any:
    """The next step, with the state that the one before returned."""
    return module(args[0], before[1]) if isinstance(before, tuple) and len(before) == 2 else module(*args)


def _answer(returned: Any) -> Any:
    """What is returned beside a state, in which recurrent layers' spikes are."""
    has_state = isinstance(returned, tuple) and len(returned) == 2 and isinstance(returned[1], (list, tuple))
    return returned[0] if has_state else returned


_NORSE = Framework(
    "Norse",
    _PACKAGE,
    _neuron,
    _to_rest,
    _again,
    _answer,
    layers=("norse.torch.module",),
    transparent=_TRANSPARENT,
    containers=frozenset({"Lift"}),
)
