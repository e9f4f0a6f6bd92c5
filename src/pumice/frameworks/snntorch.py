"""Networks of snnTorch (Eshraghian et al., Proceedings of the IEEE 2023)."""

from __future__ import annotations

from typing import Any

import torch

from pumice.frameworks.converting import convert
from pumice.frameworks.facts import Feedback, Framework, NeuronFacts, fires_at_zero, kind_of, learns, plain, refusal
from pumice.frameworks.kinds import OneToOne
from pumice.frameworks.network import ConvertedNetwork

_PACKAGE = "snntorch"
_NEURONS = ("Leaky", "RLeaky", "Synaptic", "RSynaptic", "Lapicque")
_TRAIN = "train with reset_mechanism='zero', reset_delay=False"


def from_snntorch(module: Any, example: Any, *, approximate: bool = False) -> ConvertedNetwork:
    r"""A network of snnTorch as one of `pumice.nn`, with the same spikes.

    .. math:: u = \alpha u + x, \quad v = \beta v + u, \quad s = [v > \vartheta], \quad v = 0 \text{ where } s

    `Leaky` (:math:`\alpha = 0`), `Synaptic` and `Lapicque` with reset to zero are the chip's neurons; `RLeaky`'s also
    receive R s of the step before. What a NIR file loses is read here: reset mechanism and delay, thresholds,
    decays that are trained, batch norms. The network is called on the example: once if its forward has the loop over
    steps, else 8 times. Its hidden states are at rest before and after.

    Args:
        module: A `torch.nn.Module` with snnTorch's neurons and torch's layers.
        example: What its forward takes, as in training: a tensor, or a tuple of arguments.
        approximate: Take reset by subtraction, and resets that cost a step, as resets to zero at once; the report
            counts the spikes that change, and fine-tuning can win back what that costs.

    Returns:
        The network, as `ConvertedNetwork` says.

    Raises:
        InputError: As `ConvertedNetwork` says.

    Example:
        >>> import snntorch  # doctest: +SKIP
        >>> leaky = snntorch.Leaky(0.9, reset_mechanism="zero", init_hidden=True)  # doctest: +SKIP
        >>> network = torch.nn.Sequential(torch.nn.Linear(4, 2), leaky)  # doctest: +SKIP
        >>> from_snntorch(network, torch.ones(1, 4))(torch.ones(1, 4, 10)).shape  # doctest: +SKIP
        torch.Size([1, 2, 10])
    """
    return convert(module, example, _SNNTORCH, approximate=approximate)


def _neuron(path: str, module: torch.nn.Module) -> NeuronFacts | None:
    kind = kind_of(module, _PACKAGE)
    if kind is None or not hasattr(module, "reset_mechanism_val"):
        return None
    found: Any = module
    if kind not in _NEURONS:
        raise refusal(path, f"neurons must be {', '.join(_NEURONS)}, got {kind}", "use one of these")
    for name, allowed in (("inhibition", False), ("state_quant", False)):
        if getattr(found, name):
            raise refusal(path, f"{name} must be {allowed}, got {getattr(found, name)}", f"train without {name}")
    if not bool((found.graded_spikes_factor == 1).all()):
        raise refusal(
            path,
            f"graded_spikes_factor must be 1, got {plain(found.graded_spikes_factor)}",
            "multiply the next layer's weights by it",
        )
    reset = found.reset_mechanism
    beta = plain(found.beta.clamp(0, 1))
    decay, gain = 1 - beta, 1.0
    if kind == "Lapicque":
        step = found.time_step / (found.R * found.C)
        decay, gain = plain(step), plain(step * found.R)
    alpha = plain(found.alpha.clamp(0, 1)) if kind in {"Synaptic", "RSynaptic"} else 0.0
    recurs = kind in {"RLeaky", "RSynaptic"}
    if recurs and reset == "none":
        raise refusal(path, "recurrent neurons must be reset, got reset_mechanism='none'", _TRAIN)
    return NeuronFacts(
        threshold=plain(found.threshold),
        current_decay=1 - alpha,
        voltage_decay=decay,
        gain=gain,
        fires_at_threshold=fires_at_zero(path, "spike_grad", found.spike_grad),
        learns_decays=learns(found.beta, getattr(found, "alpha", None)),
        reads_out=reset == "none",
        voltage_place=len([name for name in ("syn", "mem") if hasattr(found, name)]),
        feedback=Feedback((_own(found.recurrent),)) if recurs else None,
        nearly=_nearly(kind, reset, getattr(found, "reset_delay", True)),
        notes=("its threshold was trained, and is fixed from here on",) if learns(found.threshold) else (),
    )


def _own(recurrent: Any) -> torch.nn.Module:
    """From spikes to the next step's current: a Linear, a Conv2d, or a weight of each neuron."""
    return OneToOne(recurrent.V) if type(recurrent).__name__ == "RecurrentOneToOne" else recurrent


def _nearly(kind: str, reset: str, delayed: bool) -> tuple[str, ...]:
    if reset == "subtract":
        return (
            "reset_mechanism must be 'zero' (the chip's neurons are set to 0 when they fire), got 'subtract'; "
            + _TRAIN,
        )
    if reset == "zero" and kind != "Leaky" and (delayed or kind == "RSynaptic"):  # which takes no reset_delay=False
        remedy = _TRAIN if kind in {"Synaptic", "RLeaky"} else "use Leaky" if kind == "Lapicque" else "use RLeaky"
        return (f"a reset must be at once, got one that also loses the step after a spike (reset_delay); {remedy}",)
    return ()


def _to_rest(module: torch.nn.Module) -> None:
    for part in module.modules():
        if kind_of(part, _PACKAGE) is not None and hasattr(part, "reset_mechanism_val"):
            for name, _ in list(part.named_buffers(recurse=False)):
                if name in {"mem", "syn", "spk"}:
                    setattr(part, name, torch.zeros(0, device=getattr(part, name).device))


_SNNTORCH = Framework("snnTorch", _PACKAGE, _neuron, _to_rest, layers=("snntorch._neurons", "snntorch._layers"))
