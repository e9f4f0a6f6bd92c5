"""Network blocks: lava-dl SLAYER's own, with no hop latency in training and a norm that folds."""

from __future__ import annotations

from typing import Any, cast

import torch
import torch.nn.functional as F
from lava.lib.dl.slayer.axon import delay
from lava.lib.dl.slayer.block import cuba as slayer
from lava.lib.dl.slayer.neuron import cuba as slayer_neuron
from lava.lib.dl.slayer.neuron.norm import MeanOnlyBatchNorm, WgtScaleBatchNorm

from pumice.errors import InputError, LoweringError
from pumice.nn.blocks.recurrent import recur
from pumice.nn.checks import check_divides, check_sizes, checked_pair
from pumice.nn.computed_weight import weight_of
from pumice.nn.exact import exactly_if_deployed
from pumice.nn.layout import slayer_order, time_major
from pumice.nn.neuron_params import check_neuron_params
from pumice.nn.neurons.cuba import CubaNeuron
from pumice.nn.neurons.gradient import LayerRule
from pumice.nn.neurons.slayer_state import draw_decays, resize_
from pumice.nn.norms.tdbn import TDBN
from pumice.nn.remade import become_
from pumice.nn.synapses.delay import Delay
from pumice.nn.synapses.slayer import fast

_OURS = ("surrogate", "gradient")


def _own_params(block: Any, neuron_params: dict[str, Any]) -> dict[str, Any]:
    """What SLAYER's block may have: a copy, for it writes into the dictionary, without what is ours."""
    check_neuron_params(type(block).__name__, neuron_params, slayer_neuron.Neuron, ours=_OURS)
    return {name: value for name, value in neuron_params.items() if name not in _OURS}


def _size(where: str, name: str, size: Any) -> int:
    """A whole number, NumPy's too, which lava-dl takes for a shape."""
    check_sizes(where, **{name: size})
    return int(size)


def _complete_(block: Any, neuron_params: dict[str, Any], out_features: int | None) -> None:
    """Make SLAYER's block fast and lowerable; `out_features` is None where only the input tells it."""
    if getattr(block, "mask", None) is not None and not isinstance(block.synapse.weight, torch.nn.Parameter):
        raise InputError(
            f"{type(block).__name__}: a mask is undone by weight_norm=True, which computes the weight anew; "
            "use one of the two"
        )
    block.neuron = CubaNeuron.of(block.neuron, neuron_params.get("surrogate"), neuron_params.get("gradient"))
    make_synapses_fast_(block)
    if block.delay is not None:
        block.delay = Delay(out_features)
    norm = block.neuron.norm
    if hasattr(norm, "pre_hook_fx"):
        norm.pre_hook_fx = block.neuron.quantize_8bit
    if out_features is not None:
        draw_decays(block.neuron, out_features)
        if isinstance(norm, (MeanOnlyBatchNorm, WgtScaleBatchNorm)) and norm.num_features is None:
            norm.num_features = out_features
            resize_(norm.running_mean, torch.Size([out_features]))
    if isinstance(norm, TDBN) and hasattr(block, "synapse"):
        if norm.num_features is None and out_features is not None:
            norm.set_features(out_features)
        # The weights are quantised after folding; rounding them before it would round twice.
        block.synapse.pre_hook_fx = None


def make_synapses_fast_(block: Any, *, in_place: bool = False) -> None:
    """Make the synapses of a block with a `CubaNeuron` those of `pumice.nn.synapses.slayer`."""
    for name in ("synapse", "input_synapse", "recurrent_synapse"):
        if hasattr(block, name):
            setattr(block, name, fast(getattr(block, name), block.neuron, in_place=in_place))


def behind_neurons(block: Any, spikes: torch.Tensor) -> Any:
    """What SLAYER's blocks do with their neurons' spikes."""
    if block.delay_shift:
        spikes = delay(spikes, 1)
    if block.delay is not None:
        spikes = block.delay(spikes)
    return (spikes, torch.mean(spikes > 0)) if block.count_log else spikes


class _Exporting:
    """lava-dl's export of a block, where it writes what the block computes.

    It reads weights as SLAYER rounds them, and the bias of its own norms. A `TDBN` is folded by `pumice.lower` only.
    """

    neuron: CubaNeuron
    synapse: torch.nn.Module

    def export_hdf5(self, handle: Any) -> None:
        """Write the block into an open group, as lava-dl does.

        Raises:
            LoweringError: The block has a `TDBN`, or is deployed: lava-dl would write other weights.
        """
        if isinstance(self.neuron.norm, TDBN) or self.neuron.is_deployed:
            what = "integers of its own" if self.neuron.is_deployed else f"a {type(self.neuron.norm).__name__}"
            raise LoweringError(
                f"lava-dl's export_hdf5 cannot write a {type(self).__name__} with {what}; use "
                "pumice.lower(model, example_input) and pumice.save(graph, path)"
            )
        super().export_hdf5(handle)  # type: ignore[misc]


class OneSynapse(_Exporting):
    """A block whose neurons are fed by one synapse, so that a learning rule may need both."""

    def forward(self, x: torch.Tensor) -> Any:
        """Spikes for spikes."""
        rule = getattr(self.neuron, "gradient", None)  # lava-dl's other neurons have none
        if not (isinstance(rule, LayerRule) and rule.applies(self.neuron, x)):
            return super().forward(x)  # type: ignore[misc]
        if (mask := getattr(self, "mask", None)) is not None:
            self.synapse.weight.data *= mask
        spikes = rule.layer_spikes(self.synapse, self.neuron, x)
        return behind_neurons(self, spikes if self.neuron.drop is None else self.neuron.drop(spikes))


class Dense(OneSynapse, slayer.Dense):
    """Fully connected layer of CUBA neurons: `lava.lib.dl.slayer.block.cuba.Dense`, zero latency in training.

    Args:
        neuron_params: SLAYER's dictionary (threshold, current_decay, voltage_decay, ...); `norm` may be `TDBN`,
            `surrogate` a `pumice.nn.surrogate` or its name, and `gradient` a `pumice.nn.Gradient` or its name.
        in_neurons: Number of inputs.
        out_neurons: Number of neurons.
        **options: SLAYER's weight_scale, weight_norm, mask, ...; `delay=True` learns one `Delay` per neuron.

    Shape:
        (batch, in_neurons, time) -> (batch, out_neurons, time), spikes 0 or 1.

    Example:
        >>> import torch
        >>> layer = Dense({"threshold": 1.0, "current_decay": 1.0, "voltage_decay": 0.25}, 3, 2)
        >>> layer(torch.ones(1, 3, 5)).shape
        torch.Size([1, 2, 5])
    """

    def __init__(self, neuron_params: dict[str, Any], in_neurons: int, out_neurons: int, **options: Any) -> None:
        options.setdefault("delay_shift", False)
        n_out, given = _size("Dense", "out_neurons", out_neurons), cast(Any, in_neurons)
        is_image = isinstance(given, (tuple, list))  # (width, height, channel), as SLAYER takes it, too
        n_in = [_size("Dense", "in_neurons", n) for n in (given if is_image else [given])]
        super().__init__(_own_params(self, neuron_params), n_in if is_image else n_in[0], n_out, **options)
        _complete_(self, neuron_params, n_out)


class Conv(OneSynapse, slayer.Conv):
    """Convolution layer of CUBA neurons: `lava.lib.dl.slayer.block.cuba.Conv`, zero latency in training.

    Args:
        neuron_params: SLAYER's dictionary; `norm` may be `TDBN`.
        in_features: Channels in.
        out_features: Channels out.
        kernel_size: One number or (height, width).
        **options: SLAYER's stride, padding, dilation, groups, weight_scale, weight_norm, ...; `delay=True` learns one
            `Delay` per channel.

    Shape:
        (batch, in_features, height, width, time) -> (batch, out_features, height', width', time), spikes 0 or 1.

    Example:
        >>> import torch
        >>> params = {"threshold": 0.5, "current_decay": 1.0, "voltage_decay": 0.75, "norm": TDBN}
        >>> layer = Conv(params, 1, 4, 3, stride=2, padding=1)
        >>> layer(torch.ones(1, 1, 8, 6, 5)).shape
        torch.Size([1, 4, 4, 3, 5])
    """

    def __init__(
        self,
        neuron_params: dict[str, Any],
        in_features: int,
        out_features: int,
        kernel_size: int | tuple[int, int],
        **options: Any,
    ) -> None:
        options.setdefault("delay_shift", False)
        sizes = _size("Conv", "in_features", in_features), _size("Conv", "out_features", out_features)
        check_divides("Conv", "groups", _size("Conv", "groups", options.get("groups", 1)), *sizes)
        for name, at_least in (("stride", 1), ("padding", 0), ("dilation", 1)):
            if name in options:
                options[name] = checked_pair("Conv", name, options[name], at_least)
        kernel = checked_pair("Conv", "kernel_size", kernel_size)
        super().__init__(_own_params(self, neuron_params), *sizes, kernel, **options)
        _complete_(self, neuron_params, sizes[1])


class Pool(OneSynapse, slayer.Pool):
    """Sum pooling into CUBA neurons, `lava.lib.dl.slayer.block.cuba.Pool`; deployed as a grouped convolution.

    Args:
        neuron_params: SLAYER's dictionary; a norm is ignored, as in SLAYER.
        kernel_size: One number or (height, width); must divide the input's size to be deployed.
        **options: SLAYER's weight_scale, delay, ...

    Shape:
        (batch, channel, height, width, time) -> (batch, channel, height / k, width / k, time), spikes 0 or 1.

    Example:
        >>> import torch
        >>> layer = Pool({"threshold": 1.0, "current_decay": 1.0, "voltage_decay": 0.25}, 2, weight_scale=1.1)
        >>> layer(torch.ones(1, 3, 8, 6, 5)).shape
        torch.Size([1, 3, 4, 3, 5])
    """

    def __init__(self, neuron_params: dict[str, Any], kernel_size: int | tuple[int, int], **options: Any) -> None:
        options.setdefault("delay_shift", False)
        kernel = checked_pair("Pool", "kernel_size", kernel_size)
        super().__init__(_own_params(self, neuron_params), kernel, **options)
        _complete_(self, neuron_params, None)


class Recurrent(_Exporting, slayer.Recurrent):
    """Fully connected layer with recurrent synapses: `lava.lib.dl.slayer.block.cuba.Recurrent`, zero latency.

    Each call starts from rest: lava-dl's block would carry the neurons' state from one batch to the next. As there,
    the gradient goes from step to step through the recurrent weights only, not through the neurons' states; so there
    is no reset either that it could follow with "stbp".

    Args:
        neuron_params: SLAYER's dictionary; `norm` may be `TDBN`.
        in_neurons: Number of inputs.
        out_neurons: Number of neurons.
        **options: SLAYER's weight_scale, weight_norm, delay, ...

    Shape:
        (batch, in_neurons, time) -> (batch, out_neurons, time), spikes 0 or 1.

    Example:
        >>> import torch
        >>> layer = Recurrent({"threshold": 1.0, "current_decay": 1.0, "voltage_decay": 0.25}, 3, 2)
        >>> layer(torch.ones(1, 3, 5)).shape
        torch.Size([1, 2, 5])
    """

    def __init__(self, neuron_params: dict[str, Any], in_neurons: int, out_neurons: int, **options: Any) -> None:
        options.setdefault("delay_shift", False)
        n_in, n_out = _size("Recurrent", "in_neurons", in_neurons), _size("Recurrent", "out_neurons", out_neurons)
        super().__init__(_own_params(self, neuron_params), n_in, n_out, **options)
        _complete_(self, neuron_params, n_out)

    @classmethod
    def become_(cls, block: slayer.Recurrent) -> Recurrent:
        """Make lava-dl's block one of this class, in place: others may refer to it."""
        made = become_(block, cls)
        made.spike_state = torch.zeros(1)  # of the last batch; not read here
        return made

    @property
    def is_deployed(self) -> bool:
        """Whether the forward pass is the chip's."""
        return self.neuron.is_deployed

    @exactly_if_deployed
    def forward(self, x: torch.Tensor) -> Any:
        """Spikes for spikes, from rest."""
        self.neuron.reset_state()
        z = self.input_synapse(x)
        weight, hook = weight_of(self.recurrent_synapse), self.recurrent_synapse.pre_hook_fx
        matrix = weight.flatten(1) if hook is None else hook(weight.flatten(1))
        z = z if self.bias is None else z + self.bias
        spikes = recur(z, self.neuron, lambda s: slayer_order(F.linear(time_major(s), matrix)))
        self.neuron.reset_state()  # the last batch's is nobody's
        return behind_neurons(self, spikes)


def rest(block: Any, _args: Any) -> None:
    """Forward pre-hook: start each call of a recurrent block from rest."""
    block.neuron.reset_state()


class Flatten(slayer.Flatten):
    """(batch, channel, height, width, time) -> (batch, channel * height * width, time).

    Example:
        >>> import torch
        >>> Flatten()(torch.ones(1, 3, 8, 6, 5)).shape
        torch.Size([1, 144, 5])
    """

    shape: list[int] | None

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """SLAYER's order of neurons; no copy of the network's input, time-major memory for spikes."""
        flat = x.flatten(1, -2) if x.is_contiguous() else slayer_order(time_major(x).movedim(-1, 2).flatten(2))
        if self.shape is None:
            self.shape = [flat.shape[1], 1, 1]
        return flat
