"""What a plan says: for each layer its scale, and what it costs."""

from __future__ import annotations

from dataclasses import dataclass, field

from pumice.fixedpoint.formats import EXACT_FLOAT32, STATE


@dataclass(frozen=True)
class SynapsePlan:
    """What a synapse's integers must hold.

    Attributes:
        module: Its name in the model.
        max_input: Largest absolute value of its source: 1 for spikes.
        max_sum: What the largest sum must stay below, so that float32 is exact.
        first_channel: Where its channels begin in the layer.
        folds_own_norm: Whether its own norm is folded into it; otherwise the neuron's.
        recurrent: Whether the layer's own spikes are its source.
        fraction_bits: Of the weight's integers, between sigma-delta neurons; elsewhere None.
    """

    module: str
    max_input: int
    max_sum: int = EXACT_FLOAT32
    first_channel: int = 0
    folds_own_norm: bool = False
    recurrent: bool = False
    fraction_bits: int | None = None


@dataclass(frozen=True)
class LayerPlan:
    """How one layer is quantized.

    Attributes:
        name: The block's name in the model.
        scale: Integers per unit of current: vth_mant / threshold; of a read-out, per unit of its answer; of
            sigma-delta neurons, per unit of their value.
        vth_mant: Integer threshold; None for a read-out and sigma-delta neurons.
        rescaled: Whether the scale was free, and chosen so that the integers fill their formats; otherwise the layer
            keeps the integers that SLAYER trained it with.
        was_quantized: Whether the layer was quantized before; then it stays what it is.
        reads_current: Whether a `Current` enters, so that synapses belong to other blocks.
        synapses: One per source.
        fraction_bits: Of sigma-delta neurons, those of the states and of what is sent; elsewhere None.
        weights: Smallest and largest integer weight.
        clipped: Weights outside the chip's range, which are cut off.
        n_weights: Of so many.
        bias: Smallest and largest bias mantissa, of 13 bits.
        worst_u: Largest possible current, in the chip's 24-bit integers: all that can push a neuron does.
        worst_v: The same for the voltage, were there no reset; infinite without a leak.
        advice: What to do, one sentence for each thing worth knowing.
    """

    name: str
    scale: float
    vth_mant: int | None = None
    rescaled: bool = False
    was_quantized: bool = False
    reads_current: bool = False
    synapses: tuple[SynapsePlan, ...] = ()
    fraction_bits: tuple[int, int] | None = None
    weights: tuple[int, int] = (0, 0)
    clipped: int = 0
    n_weights: int = 0
    bias: tuple[int, int] = (0, 0)
    worst_u: float = 0.0
    worst_v: float = 0.0
    advice: tuple[str, ...] = ()

    @property
    def weight_bits(self) -> int:
        """Bits that the integer weights use, of 8: they are even, of both signs."""
        return min(8, max(-self.weights[0], self.weights[1]).bit_length())


@dataclass(frozen=True)
class Plan:
    """How a network is quantized; print it.

    Attributes:
        input_range: Smallest and largest input value.
        layers: In the order in which they are called.
        order: Every block that is called, with the names of what it reads.
    """

    input_range: tuple[int, int]
    layers: tuple[LayerPlan, ...]
    order: tuple[tuple[str, tuple[str, ...]], ...] = field(default=(), repr=False)

    def __str__(self) -> str:
        rows = [_HEADER, *map(_row, self.layers)]
        widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
        lines = ["  ".join((row[0].ljust(widths[0]), *map(str.rjust, row[1:], widths[1:]))) for row in rows]
        advice = [f"{layer.name}: {line}" for layer in self.layers for line in layer.advice]
        return "\n".join([f"input {self.input_range[0]}..{self.input_range[1]}", *lines, *advice])


_HEADER = ("layer", "scale", "vth", "weights", "bits", "clipped", "bias", "worst u", "worst v")


def _row(layer: LayerPlan) -> tuple[str, ...]:
    return (
        layer.name,
        f"{layer.scale:.4g}",
        "-" if layer.vth_mant is None else str(layer.vth_mant),
        f"{layer.weights[0]}..{layer.weights[1]}",
        str(layer.weight_bits),
        f"{layer.clipped}/{layer.n_weights}",
        f"{layer.bias[0]}..{layer.bias[1]}",
        "-" if layer.fraction_bits else f"{layer.worst_u / (STATE.high + 1):.1%}",
        "-" if layer.fraction_bits else f"{layer.worst_v / (STATE.high + 1):.1%}",
    )
