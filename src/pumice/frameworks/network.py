"""What the conversion gives: pumice's blocks, wired as the framework's modules were."""

from __future__ import annotations

from typing import NamedTuple

import torch

from pumice.errors import InputError


class Step(NamedTuple):
    """One block's call.

    Attributes:
        block: The block's name in the network.
        sources: Whose spikes it takes: blocks, or "input".
    """

    block: str
    sources: tuple[str, ...]


class ConvertedNetwork(torch.nn.Module):
    """A network of another framework, of `pumice.nn` blocks with its weights, and floating-point neurons.

    `from_snntorch`, `from_spikingjelly`, `from_norse` and `from_sinabs` make it, of what a module computes on an
    example. What has no equal on the chip is an `InputError` there, which names the module, what is allowed against
    what was found, and the remedy. The network trains as any other; `pumice.quantize_` and `pumice.lower` make
    integers of it. Neurons of a framework that fire at their threshold (SpikingJelly, sinabs) fire above it once they
    are quantized.

    Args:
        blocks: By name.
        steps: In which order they are called, and on what.
        outputs: Names of the blocks whose output is returned: one tensor, or a tuple of several.
        report: What was read, what is only nearly the same, and how spikes compared on the example.

    Shape:
        What enters the framework's first layer in each step, with time as the last axis: (batch, n, time) or
        (batch, channel, height, width, time), of a row (batch, channel, 1, length, time) -> spikes (batch, ...,
        time), or what a read-out gives.

    Example:
        >>> from pumice.nn import Flatten
        >>> network = ConvertedNetwork({"flat": Flatten()}, [Step("flat", ("input",))], ("flat",), "")
        >>> network(torch.ones(1, 3, 4, 4, 5)).shape
        torch.Size([1, 48, 5])
    """

    def __init__(
        self, blocks: dict[str, torch.nn.Module], steps: list[Step], outputs: tuple[str, ...], report: str
    ) -> None:
        super().__init__()
        for name, block in blocks.items():
            self.add_module(name, block)
        self.steps, self.outputs, self.report = tuple(steps), outputs, report

    def forward(self, x: torch.Tensor) -> torch.Tensor | tuple[torch.Tensor, ...]:
        """Spikes of the last neurons, or a read-out's voltages."""
        if not isinstance(x, torch.Tensor) or x.ndim not in {3, 5}:
            found = tuple(x.shape) if isinstance(x, torch.Tensor) else type(x).__name__
            raise InputError(
                f"a converted network takes (batch, n, time) or (batch, channel, height, width, time), got {found}; "
                "stack the steps of each sample along a last axis"
            )
        sent = {"input": x}
        for block, sources in self.steps:
            sent[block] = self.get_submodule(block)(*(sent[source] for source in sources))
        outputs = tuple(sent[name] for name in self.outputs)
        return outputs if len(outputs) > 1 else outputs[0]
