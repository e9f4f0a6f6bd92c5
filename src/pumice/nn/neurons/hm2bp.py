"""HM2-BP: spike counts at the macro level, the effect of single spikes on them at the micro level."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, ClassVar

import torch
from lava.lib.dl.slayer import synapse as slayer_synapse

from pumice.errors import InputError
from pumice.fixedpoint.formats import DECAY_ONE
from pumice.nn.checks import check_samples
from pumice.nn.layout import slayer_order, time_major
from pumice.nn.neurons.gradient import LayerRule
from pumice.nn.neurons.inhibition import inhibited_spikes
from pumice.nn.neurons.psp import TIMINGS, Credit, Membrane, at_last_step, credit
from pumice.nn.neurons.slayer_state import decays_q12
from pumice.nn.neurons.whole_sample import any_step, is_constant
from pumice.nn.padding import without_padding
from pumice.nn.precision import for_neurons

if TYPE_CHECKING:
    from pumice.nn.neurons.cuba import CubaNeuron

SILENT_EFFECT = 0.1
"""e of an active input and a neuron that never fires."""
SILENT_RATIO = 1.0
"""e / o_j where one of both never fires, for the error of the layer before."""
SILENT_SELF_RATIO = 0.5
"""e / o_i of a neuron that never fires, for its own S."""
LARGEST_SELF_EFFECT = 2.0
"""1 + S where a_i = threshold * o_i, as the rule supposes: spikes at potentials of just the threshold."""
LARGEST_LATERAL_EFFECT = 10.0
"""Beyond it, output neurons that inhibit each other stand on an edge where their linear response means nothing."""


@dataclass(frozen=True)
class HM2BP(LayerRule):
    r"""Hybrid macro/micro level backpropagation: a gradient of spike counts, through single spikes' effects.

    With :math:`e_{ij}`, what the train of neuron j built up in the membrane of neuron i, summed over the spikes of i
    (`pumice.nn.neurons.psp.credit`), :math:`o` spike counts and :math:`\vartheta` thresholds,

    .. math::
        a_i &= \sum_j w_{ij} e_{ij} \approx \vartheta_i o_i, \qquad
        \delta_i = \frac{1}{\vartheta_i} \frac{\partial E}{\partial o_i}, \qquad
        S_i = \frac{1}{\vartheta_i} \sum_j w_{ij} \frac{e_{ij}}{o_i} \\
        \frac{\partial E}{\partial w_{ij}} &= \delta_i \, e_{ij} (1 + S_i), \qquad
        \frac{\partial E}{\partial o_j} = \sum_i \delta_i w_{ij} \frac{e_{ij}}{o_j}

    Of a neuron that never fires, an active input has e = 0.1, and e / o_i is 1/2 in S; e / o_j is 1 where one of both
    never fires (in units of a synapse's weight times tau_s). A pooling layer divides its error by its window.
    No single objective has this gradient: the weights' has the effect of a neuron's own firing on its PSPs, to first
    order, S, and the error of the layer before does not.

    Neurons that inhibit each other with weights -c a step later (`pumice.nn.LateralInhibition`) change each other's
    counts, and so their own again. The gradient of their weights is multiplied by

    .. math:: \Big(1 - c^2 \sum_{l \ne i} \frac{e_{li}}{o_i} \frac{e_{il}}{o_l} d_l d_i\Big)^{-1}

    with d = 1 / threshold of neurons that fire or should (their error is negative), else 0, and e / o = 1 where one
    of both never fires.

    Those constants say nothing of how far a silent neuron is from firing, and most neurons of a convolution are
    silent. With `silent_reach` = r the potential at the last step takes their place: above -r times its threshold, a
    spike at that step stands in for the neuron's own in the backward pass, so that its count answers as one that is
    rounded down; below, it has no gradient. An input that never fires has, at each step, the e of a spike there.

    Any loss will do whose gradient is one of spike counts; HM2-BP's own is `pumice.train.losses.CountMarginLoss`.
    The loss's gradient may depend on time: a neuron's error is its mean at the neuron's spikes. It is evaluated as
    products over time, as backpropagation through time, and never holds a number for each pair of neurons. In a batch
    of samples of unequal length each counts as if it were alone: spikes behind its end have no part in it.

    Jin, Zhang, Li: Hybrid macro/micro level backpropagation for training deep spiking neural networks, NeurIPS 2018;
    degenerate cases as in the authors' code.

    Args:
        timing: Of the kernel: "neuron", the response of the neuron as it is simulated, with which a_i is the sum of
            its membrane's potentials at its spikes; or "paper", the paper's exponentials. (The authors' code moves
            the kernel by the refractory period, and is the paper's without one.)
        refractory: T_ref, steps: 0. Lava has a refractory neuron in floating point only.
        least_self_effect: Lower bound of 1 + S, which falls below 1, and below 0, where the weights of a silent
            neuron are negative; None for the paper's equation.
        largest_self_effect: Upper bound of 1 + S, which grows with how far single steps take a neuron beyond its
            threshold: the more it is driven, the faster its weights learn, until it fires in every step; None for the
            paper's equation.
        largest_lateral_effect: Upper bound of that factor, which has a pole and is negative behind it; None for the
            paper's equation.
        discount_overshoot: Of a neuron that fires, divide by the mean potential at its spikes, a_i / o_i, instead of
            by its threshold, if that is less: what is beyond the threshold is lost at the reset and adds no spike.
        silent_reach: r, thresholds; None for the authors' constants. Output neurons that should fire always stand in.
        stand_in: Of an output neuron that never fires, and whose count should grow, spikes in every so many steps
            stand in for its own in the backward pass: the authors take floor(T / desired count). None: e is 0.1.
        is_output: Whether it is the output layer's; the models of recipes say it of theirs.

    Raises:
        InputError: A setting does not fit, or the rule is not defined for a neuron: with a norm, with decays that are
            learned or differ by channel, with graded spikes, or with a state that is carried on.

    Example:
        >>> from pumice.nn import Dense
        >>> params = {"threshold": 1.0, "current_decay": 1.0, "voltage_decay": 0.5, "gradient": HM2BP()}
        >>> layer = Dense(params, 1, 1)
        >>> _ = layer.synapse.weight.data.fill_(1.5)
        >>> layer(torch.ones(1, 1, 2)).sum().backward()
        >>> layer.synapse.weight.grad.item()  # e = 2, S = 1.5, and 1 + S at most 2
        4.0
    """

    name: ClassVar[str] = "hm2bp"
    timing: str = "neuron"
    refractory: int = 0
    least_self_effect: float | None = 1.0
    largest_self_effect: float | None = LARGEST_SELF_EFFECT
    largest_lateral_effect: float | None = LARGEST_LATERAL_EFFECT
    discount_overshoot: bool = False
    silent_reach: float | None = None
    stand_in: int | None = None
    is_output: bool = False

    def __post_init__(self) -> None:
        if self.timing not in TIMINGS:
            raise InputError(f"HM2BP: timing must be one of {', '.join(TIMINGS)}, got {self.timing!r}")
        if self.refractory != 0:
            raise InputError(
                f"HM2BP: refractory must be 0, got {self.refractory}: no backend has a refractory period, as Lava "
                "has none in fixed point (LIFRefractory is a model in floating point); use 0, and a higher threshold "
                "for fewer spikes"
            )
        least, most = self.least_self_effect, self.largest_self_effect
        if not (least is None or math.isfinite(least)) or not (most is None or 0 < most < math.inf):
            raise InputError(
                "HM2BP: least_self_effect must be a finite number, and largest_self_effect one > 0, or None, "
                f"got {least} and {most}"
            )
        if least is not None and most is not None and not least <= most:
            raise InputError(
                f"HM2BP: least_self_effect must not be above largest_self_effect, got {least} and {most}"
            )
        if self.largest_lateral_effect is not None and not self.largest_lateral_effect >= 1:
            raise InputError(
                f"HM2BP: largest_lateral_effect must be a factor >= 1, or None, got {self.largest_lateral_effect}"
            )
        if not isinstance(self.discount_overshoot, bool):
            raise InputError(f"HM2BP: discount_overshoot must be True or False, got {self.discount_overshoot!r}")
        if self.silent_reach is not None and not 0 <= self.silent_reach < math.inf:
            raise InputError(f"HM2BP: silent_reach must be >= 0 thresholds, or None, got {self.silent_reach}")
        if self.stand_in is not None and not (isinstance(self.stand_in, int) and self.stand_in >= 1):
            raise InputError(f"HM2BP: stand_in must be None or a whole number >= 1 of steps, got {self.stand_in!r}")

    def of_output(self) -> HM2BP:
        """The same, of an output layer."""
        return replace(self, is_output=True)

    def check(self, neuron: CubaNeuron) -> None:
        """No norm, fixed decays that all channels share, tau_s < inf, spikes of 0 and 1, each sample from rest."""
        reasons = {
            'no norm (neuron.norm = "none")': neuron.norm is not None,
            "fixed decays": neuron.requires_grad,
            "decays that all channels share": not neuron.shared_param,
            "a current that decays (tau_s = 1 / current_decay)": not decays_q12(neuron)[0].any(),
            "no graded spikes": neuron.graded_spike,
            "no persistent state": neuron.persistent_state,
        }
        if missing := [what for what, lacks in reasons.items() if lacks]:
            raise InputError(f'the gradient "hm2bp" needs {", ".join(missing)}; or use the gradient "slayer"')
        Membrane.of(neuron, self.timing)

    def layer_spikes(self, synapse: Any, neuron: CubaNeuron, x: torch.Tensor) -> torch.Tensor:
        """The layer's spikes, with the class's gradient."""
        return self._spikes(synapse, neuron, x, None)

    def inhibited_spikes(
        self, synapse: Any, neuron: CubaNeuron, x: torch.Tensor, matrix: torch.Tensor
    ) -> torch.Tensor:
        """The same where the neurons inhibit each other."""
        return self._spikes(synapse, neuron, x, matrix)

    def _spikes(self, synapse: Any, neuron: CubaNeuron, x: torch.Tensor, matrix: torch.Tensor | None) -> torch.Tensor:
        check_samples(x)
        weights = [parameter for parameter in synapse.parameters() if parameter.requires_grad]
        spikes: torch.Tensor = _Layer.apply(x, synapse, neuron, self, matrix, *weights)
        return spikes


class _Layer(torch.autograd.Function):
    """A synapse and its neurons.

    The synapse's own graph is kept, because its two gradients differ: that of the weights has the factor 1 + S, which
    is another for each sample and neuron, and that of its input has not.
    """

    @staticmethod
    def forward(  # noqa: PLR0917 -- autograd passes by position
        ctx: Any,
        x: torch.Tensor,
        synapse: Any,
        neuron: CubaNeuron,
        rule: HM2BP,
        matrix: torch.Tensor | None,
        *weights: torch.Tensor,
    ) -> torch.Tensor:
        """As the class says."""
        source = x.detach().requires_grad_(ctx.needs_input_grad[0])
        pair = of_active = None
        ctx.lengths = None if (own := neuron.own_steps_of(x)) is None else own.flatten(1).sum(1)
        if rule.silent_reach is None:
            active = any_step(without_padding(x.detach(), ctx.lengths))
            pair = torch.cat([active, active], -1).requires_grad_(source.requires_grad)
        with torch.enable_grad():
            if not source.requires_grad and is_constant(source):  # an image shown unchanged: once for all steps
                current = for_neurons(synapse(_beside(source[..., :1], pair)))
                current, of_active = current[..., :1], None if pair is None else current[..., 1:]
            else:
                current = for_neurons(synapse(source))
                of_active = None if pair is None else for_neurons(synapse(pair))
        ctx.weights = [weight for weight in synapse.parameters() if weight.requires_grad]
        ctx.graphs = source, pair, current, of_active
        current = current.detach().expand(*current.shape[:-1], x.shape[-1])
        spikes = neuron.spikes_by_slayer(current) if matrix is None else inhibited_spikes(neuron, current, matrix)
        ctx.save_for_backward(current, spikes)
        ctx.matrix = matrix
        ctx.rule, ctx.membrane = rule, Membrane.of(neuron, rule.timing)
        ctx.threshold = float(neuron.vth_mant) if neuron.is_deployed else float(neuron.threshold)
        ctx.tau_s = DECAY_ONE / float(decays_q12(neuron)[0][0])
        ctx.window = math.prod(synapse.kernel_size) if isinstance(synapse, slayer_synapse.Pool) else 1
        return spikes

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx: Any, *grads: torch.Tensor) -> tuple[torch.Tensor | None, ...]:
        """Gradients of input and weights."""
        received, spikes = ctx.saved_tensors
        source, pair, current, of_active = ctx.graphs
        fired, gradient = (without_padding(tensor, ctx.lengths) for tensor in (spikes, grads[0].to(spikes.dtype)))
        if ctx.rule.is_output and ctx.rule.stand_in is not None:
            fired = without_padding(_with_stand_ins(fired, gradient, ctx.rule.stand_in), ctx.lengths)
        z, s, g = (time_major(tensor).flatten(1) for tensor in (received, fired, gradient))
        found = _credit(ctx, s, g, z)
        shape = time_major(received).shape
        silent = found.count == 0
        own = found.potential / found.count.clamp(min=1) / ctx.threshold  # mean potential at its spikes, thresholds
        discount = own.clamp(min=1).reciprocal() if ctx.rule.discount_overshoot else torch.ones_like(own)
        delta = found.error / ctx.threshold * discount
        factor = _self_effect(ctx, silent, own * discount)
        if ctx.matrix is not None:
            factor = factor * _lateral_effect(ctx, found, s, discount)

        def as_current(per_step: torch.Tensor) -> torch.Tensor:
            return slayer_order(per_step.view(len(per_step), *shape[1:]))

        g_weights: list[torch.Tensor | None] = [None] * len(ctx.weights)
        if ctx.weights:
            per_step = found.per_step.sum(0, keepdim=True) if current.shape[-1] == 1 else found.per_step
            currents, outputs = [current], [as_current(per_step * (delta * factor))]
            if of_active is not None:
                of_silent = torch.where(silent, SILENT_EFFECT * ctx.tau_s * delta * factor, 0)
                currents.append(of_active)
                outputs.append(as_current(torch.stack([of_silent, torch.zeros_like(of_silent)])))
            found_grads = torch.autograd.grad(currents, ctx.weights, outputs, retain_graph=True, allow_unused=True)
            g_weights = list(found_grads)
        g_source = None
        if source.requires_grad:
            of_steps = as_current(found.per_step.mul_(delta))
            (g_source,) = torch.autograd.grad(current, source, of_steps, retain_graph=True)
            if of_active is not None:
                unit = SILENT_RATIO * ctx.tau_s * delta
                of_ratios = as_current(torch.stack([torch.where(silent, unit, 0), unit]))
                (of_pair,) = torch.autograd.grad(of_active, pair, of_ratios, retain_graph=True)
                g_source = _joined(g_source, of_pair, pair.detach())
            if ctx.window != 1:
                g_source.div_(ctx.window)
        return g_source, None, None, None, None, *g_weights


def _beside(step: torch.Tensor, pair: torch.Tensor | None) -> torch.Tensor:
    return step if pair is None else torch.cat([step, pair], -1)


def _credit(ctx: Any, s: torch.Tensor, g: torch.Tensor, z: torch.Tensor) -> Credit:
    """Of the spikes and those that the potential of silent neurons puts in their place."""
    rule, membrane, last = ctx.rule, ctx.membrane, None
    silent, slope = s.sum(0) == 0, None
    if ctx.lengths is not None:
        last = (ctx.lengths - 1).repeat_interleave(s.shape[1] // max(len(ctx.lengths), 1))
        slope = g.sum(0) / (last + 1)
    if rule.silent_reach is not None:
        slope = g.mean(0) if slope is None else slope
        stands_in = silent & (at_last_step(z, membrane, last) > -rule.silent_reach * ctx.threshold)
        if rule.is_output:
            stands_in |= silent & (slope < 0)
        s = s.clone()
        if last is None:
            s[-1] += stands_in
        else:
            s.scatter_add_(0, last[None], stands_in[None].to(s.dtype))
    found = credit(s, g, z, membrane)
    return found if slope is None else replace(found, error=torch.where(silent, slope, found.error))


def _with_stand_ins(spikes: torch.Tensor, gradient: torch.Tensor, every: int) -> torch.Tensor:
    """The spikes, with others in place of those of neurons that never fire and should."""
    missing = (spikes.sum(-1) == 0) & (gradient.sum(-1) < 0)
    spikes = spikes.clone()
    spikes[..., every - 1 :: every] += missing[..., None]
    return spikes


def _self_effect(ctx: Any, silent: torch.Tensor, own: torch.Tensor) -> torch.Tensor:
    """1 + S; own is S of neurons that fire."""
    if (of_active := ctx.graphs[-1]) is not None:
        at_rest = SILENT_SELF_RATIO * ctx.tau_s * time_major(of_active.detach())[0].flatten()
        own = torch.where(silent, at_rest / ctx.threshold, own)
    least, most = ctx.rule.least_self_effect, ctx.rule.largest_self_effect
    return 1 + own if least is None and most is None else (1 + own).clamp(min=least, max=most)


def _lateral_effect(ctx: Any, found: Credit, s: torch.Tensor, discount: torch.Tensor) -> torch.Tensor:
    """The factor of a neuron's weights for what the others, which it inhibits, send back to it: (batch * neuron,)."""
    steps, n = len(s), len(ctx.matrix)
    before = torch.zeros_like(s)
    before[1:] = s[:-1]  # what was sent a step before
    count = s.sum(0).view(-1, n)  # without what stands in at the last step, which reaches nobody
    effect = torch.einsum("tbl,tbj->blj", found.per_step.view(steps, -1, n), before.view(steps, -1, n))
    one_is_silent = (count[:, :, None] == 0) | (count[:, None, :] == 0)
    ratio = torch.where(one_is_silent, SILENT_RATIO * ctx.tau_s, effect / count[:, None, :].clamp(min=1))
    slope = ((count > 0) | (found.error.view(-1, n) < 0)) * discount.view(-1, n) / ctx.threshold
    weights = (ctx.matrix * ctx.matrix.T).to(s.dtype)  # 0 on the diagonal
    loop = slope * (weights * ratio * ratio.mT * slope[:, None, :]).sum(2)
    most = ctx.rule.largest_lateral_effect
    return 1 / (1 - (loop if most is None else loop.clamp(max=1 - 1 / most)).flatten())


def _joined(g_source: torch.Tensor, of_pair: torch.Tensor, pair: torch.Tensor) -> torch.Tensor:
    """The error of the layer before, step by step, for neurons that fired; one number for all steps of the others."""
    with_silent, of_silent = time_major(of_pair)
    fired = (time_major(pair)[0] != 0).to(g_source.dtype)
    per_step = time_major(g_source)  # of this function alone: torch.where takes ten times as long as this
    return slayer_order(per_step.mul_(fired).add_(torch.lerp(of_silent, with_silent, fired)))
