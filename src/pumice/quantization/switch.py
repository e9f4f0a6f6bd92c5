"""Do what a plan says: switch a network to integers, in place."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from lava.lib.dl.slayer.block import cuba

from pumice.errors import InternalError, LoweringError
from pumice.nn.blocks.current import MergedOffset
from pumice.nn.blocks.layers import Recurrent, make_synapses_fast_, rest
from pumice.nn.blocks.linear_readout import LinearReadout
from pumice.nn.neurons.cuba import CubaNeuron
from pumice.quantization.compiled import original
from pumice.quantization.integer_weight import IntegerWeight
from pumice.quantization.planner import has_integers
from pumice.quantization.plans import LayerPlan, Plan, SynapsePlan
from pumice.quantization.runtime_guard import RuntimeGuard
from pumice.quantization.sigma_delta import switch_
from pumice.quantization.synapse_view import SynapseView, synapse_views
from pumice.quantization.trace import SYNAPTIC, modules_by_name
from pumice.quantization.untouched import unchanged_on_error

Modules = Mapping[str, Any]


def apply(model: torch.nn.Module, plan: Plan) -> torch.nn.Module:
    """Switch a network to the integers of a plan, in place; layers that are quantized already stay as they are.

    Args:
        model: That of the plan, or one built the same way.
        plan: Of `pumice.quantization.plan`.

    Returns:
        The same model.

    Raises:
        LoweringError: The model lacks a block or synapse of the plan, or what was quantized before was for smaller
            inputs. The model is then what it was before.

    Example:
        >>> import copy
        >>> from pumice.nn import Dense
        >>> from pumice.quantization import plan
        >>> model = torch.nn.Sequential(Dense({"threshold": 1.0, "current_decay": 1.0, "voltage_decay": 0.25}, 3, 2))
        >>> twin = copy.deepcopy(model)
        >>> x = torch.ones(1, 3, 5)
        >>> torch.equal(apply(twin, plan(model, x))(x), apply(model, plan(model, x))(x))
        True
    """
    network = original(model)
    with unchanged_on_error(network):
        modules = modules_by_name(network)
        for layer in plan.layers:
            block = _found(modules, layer.name)
            if not isinstance(block, SYNAPTIC):
                raise LoweringError(
                    f"the plan's block {layer.name!r} is a {type(block).__name__} in this model; make a plan of it"
                )
            if has_integers(block):
                _check_old(modules, layer)
            elif isinstance(block, LinearReadout):
                block.deploy(layer.scale)
            else:
                _switch(modules, block, layer)
        for name, _ in plan.order:
            _found(modules, name)
        RuntimeGuard.install(network, plan.input_range, plan.order)
    return model


def _switch(modules: Modules, block: Any, layer: LayerPlan) -> None:
    """From here on the block computes in integers, with gradient."""
    if layer.fraction_bits is not None:
        switch_(block, layer, {synapse.module: _view(modules, synapse, None) for synapse in layer.synapses})
        return
    assert layer.vth_mant is not None
    if type(block) is cuba.Recurrent:
        Recurrent.become_(block)
    neuron = block.neuron = CubaNeuron.of(block.neuron, in_place=True)
    make_synapses_fast_(block, in_place=True)
    neuron.deploy(layer.vth_mant, _offset_of_synapses(modules, layer))
    block.delay_shift = False
    if isinstance(block, cuba.Recurrent) and not isinstance(block, Recurrent):
        block.register_forward_pre_hook(rest)
    for synapse in layer.synapses:
        view = _view(modules, synapse, neuron)
        if not getattr(view.hook(), "gives_integers", False):
            view.set_hook(IntegerWeight(view, neuron, synapse.max_input, synapse.max_sum, layer.name))
    own = [] if _are_summed(layer) else synapse_views(block)
    if any(not getattr(view.hook(), "gives_integers", False) for view in own):
        raise InternalError(f"block {layer.name!r}: a synapse has no integers; the plan is of another one")


def _are_summed(layer: LayerPlan) -> bool:
    """Whether synapses with norms of their own make up the current, not the block's one synapse."""
    return any(synapse.folds_own_norm for synapse in layer.synapses)


def _offset_of_synapses(modules: Modules, layer: LayerPlan) -> Any:
    """What the norms of several synapses add together; None where the neuron has its own norm or none."""
    if not _are_summed(layer):
        return None
    synapses = tuple((_found(modules, synapse.module), synapse.first_channel) for synapse in layer.synapses)
    return MergedOffset(synapses, _channels(synapses))


def _channels(synapses: Any) -> int:
    return int(max(first + synapse.out_channels for synapse, first in synapses))


def _check_old(modules: Modules, layer: LayerPlan) -> None:
    """A block that was quantized before, in another network perhaps, must have been for as large an input."""
    for synapse in layer.synapses if layer.fraction_bits is None else ():
        hook: Any = _view(modules, synapse, None).hook()
        if not isinstance(hook, IntegerWeight):
            raise LoweringError(
                f"block {layer.name!r} is deployed, and its part {synapse.module!r} is not: it came into the model "
                "later; deploy a copy of the trained network"
            )
        if synapse.max_input > hook.max_input:
            raise LoweringError(
                f"block {layer.name!r} was deployed for inputs up to {hook.max_input}, and gets up to "
                f"{synapse.max_input}; deploy a copy of the trained network for this input"
            )


def _view(modules: Modules, synapse: SynapsePlan, neuron: Any) -> SynapseView:
    owner = _found(modules, synapse.module)
    return SynapseView(owner, owner if synapse.folds_own_norm else neuron, recurrent=synapse.recurrent)


def _found(modules: Modules, name: str) -> Any:
    if name not in modules:
        raise LoweringError(f"the plan has a part {name!r}, which this model lacks; make a plan of this model")
    return modules[name]
