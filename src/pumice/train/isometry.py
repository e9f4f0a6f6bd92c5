"""Block dynamical isometry: whether a network's blocks keep the length of gradients."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from pumice.errors import InputError
from pumice.nn import Bottleneck, ResidualBlock
from pumice.nn.norms.tdbn import momentum_of
from pumice.nn.probes.firing import watch_firing


@dataclass(frozen=True)
class BlockIsometry:
    r"""One block's figures.

    Attributes:
        name: The block's name in the model.
        phi: :math:`\phi(JJ^T) = \mathrm{tr}(JJ^T) / n`, the mean squared singular value of J, the derivative of the
            n currents that enter the block's neurons by the currents that enter the neurons before it; None where
            the network's input comes before it.
        current: Root mean square of those currents, in thresholds.
        firing: Spikes per neuron and step.
    """

    name: str
    phi: float | None
    current: float
    firing: float


@dataclass(frozen=True)
class Isometry:
    """All blocks' figures in the order of the network; `str` is a table.

    Attributes:
        blocks: One entry for each block.
    """

    blocks: tuple[BlockIsometry, ...]

    @property
    def product(self) -> float:
        """All phi multiplied: by how much the network changes a gradient's squared length."""
        product = 1.0
        for block in self.blocks:
            product *= 1.0 if block.phi is None else block.phi
        return product

    def __str__(self) -> str:
        width = max(len(block.name) for block in self.blocks)
        lines = [f"{'block':<{width}}   phi(JJ^T)   current / V_th   firing"]
        for b in self.blocks:
            phi = "-" if b.phi is None else f"{b.phi:.4f}"
            lines.append(f"{b.name:<{width}}   {phi:>9}   {b.current:>14.4f}   {b.firing:.4f}")
        return "\n".join([*lines, f"product of all phi: {self.product:.3e}"])

    def plot(self, path: str | Path) -> None:
        """Draw phi and firing of every block.

        Args:
            path: File to write; its suffix (.svg, .png, .pdf) is the format.
        """
        from matplotlib import rc_context
        from matplotlib.figure import Figure

        places = range(len(self.blocks))
        figure = Figure(figsize=(max(4.0, 0.3 * len(self.blocks)), 4.5), layout="constrained")
        upper, lower = figure.subplots(2, 1, sharex=True)
        upper.plot(places, [float("nan") if b.phi is None else b.phi for b in self.blocks], "o-")
        upper.axhline(1.0, color="grey", linewidth=0.8)
        upper.set(yscale="log", ylabel=r"$\phi(JJ^T)$")
        lower.plot(places, [b.firing for b in self.blocks], "o-")
        lower.set(ylabel="spikes per neuron and step", ylim=(0, None))
        lower.set_xticks(places, [b.name for b in self.blocks], rotation=90)
        with rc_context({"svg.hashsalt": "pumice"}):  # and no date: the same figures give the same file
            figure.savefig(path, metadata={"Date": None} if Path(path).suffix == ".svg" else None)


def isometry(model: torch.nn.Module, batch: torch.Tensor, *, probes: int = 4, seed: int = 0) -> Isometry:
    r"""Measure :math:`\phi(JJ^T)` of every block, and how often its neurons fire.

    Gradients neither vanish nor explode in a deep network whose blocks have phi near 1 (Chen et al., 2020); tdBN is
    made to give that (Zheng, Wu, Deng, Hu, Li, AAAI 2021, theorem 1). For a wide layer with tdBN at its start,
    :math:`\tau = 0` and the rectangular surrogate of width a,

    .. math:: \phi = \frac{V_{th}^2 \, P(|x - V_{th}| < a/2)}{a^2 \, p (1 - p)}, \quad x \sim N(0, V_{th}^2), \quad
        p = P(x > V_{th})

    which is .894 at V_th = .5, a = 1: near 1 only where threshold and surrogate match. Only the mean of the squared
    singular values is near 1; half the columns of J are 0, so their variance is not near 0.

    A block is a `ResidualBlock`, a `Bottleneck`, or any other block with neurons; its Jacobian is over all steps.
    The norms are linear maps here, with the statistics of `batch`. The trace is estimated from random vectors with
    entries +-1: E |J^T v|^2 = tr(JJ^T) (Hutchinson, 1989). The model is left as it is.

    Args:
        model: Made of `pumice.nn` blocks, not deployed.
        batch: Input, (batch, ..., time).
        probes: Random vectors.
        seed: Of the random vectors.

    Returns:
        A table.

    Raises:
        InputError: The model has no block with neurons, or is deployed.

    Example:
        >>> from pumice import nn
        >>> params = {"threshold": 0.5, "current_decay": 1.0, "voltage_decay": 1.0, "norm": nn.TDBN}
        >>> layers = (nn.Dense({**params, "surrogate": "rectangular"}, 64, 64) for _ in range(2))
        >>> _ = torch.manual_seed(0)
        >>> table = isometry(torch.nn.Sequential(*layers), torch.randn(16, 64, 2))
        >>> [block.name for block in table.blocks], 0.5 < table.blocks[1].phi < 1.5
        (['0', '1'], True)
    """
    model = copy.deepcopy(model)
    with torch.no_grad(), momentum_of(model, 1.0):
        model.train()(batch)
    model.eval()
    generator = torch.Generator(batch.device).manual_seed(seed)
    with _cut(model) as cuts, watch_firing(model) as firing:
        model(batch)
        rates = firing.rates()
    found = []
    for index, cut in enumerate(cuts):
        before = [other.leaf for other in cuts[:index]]
        phi = _phi(cut.current, before, probes, generator) if before else None
        rms = float(cut.current.detach().square().mean().sqrt()) / cut.threshold
        found.append(BlockIsometry(cut.name, phi, rms, rates[cut.spikes]))
    return Isometry(tuple(found))


@dataclass
class _Cut:
    """Where one block ends: the current into its last neurons, and a leaf in its place for what comes behind."""

    name: str
    spikes: str
    threshold: float
    current: torch.Tensor
    leaf: torch.Tensor


@contextmanager
def _cut(model: torch.nn.Module) -> Iterator[list[_Cut]]:
    """Cut the graph of derivatives at the current into every block's neurons until the context ends."""
    cuts: list[_Cut] = []
    handles = []
    for name, spikes, neuron in _ends(model):
        if getattr(neuron, "is_deployed", False):
            raise InputError("isometry: the model is deployed; measure it before")

        def cut(current: torch.Tensor, name: str = name, spikes: str = spikes, neuron: Any = neuron) -> torch.Tensor:
            leaf = current.detach().requires_grad_()
            cuts.append(_Cut(name, spikes, float(neuron.threshold), current, leaf))
            return leaf

        if neuron.norm is not None:
            handles.append(neuron.norm.register_forward_hook(lambda _m, _args, y, cut=cut: cut(y)))
        else:
            handles.append(neuron.register_forward_pre_hook(lambda _m, args, cut=cut: (cut(args[0]),)))
    if not handles:
        raise InputError("isometry: the model has no block with neurons")
    try:
        yield cuts
    finally:
        for handle in handles:
            handle.remove()


def _ends(model: torch.nn.Module) -> Iterator[tuple[str, str, Any]]:
    """Each block's name, the name of its last spiking part, and that part's neuron."""
    inside: tuple[str, ...] = ()
    for name, module in model.named_modules():
        if inside and name.startswith(inside):
            continue
        if isinstance(module, (ResidualBlock, Bottleneck)):
            inside = (*inside, f"{name}." if name else "")
            yield name, f"{name}.sum".lstrip("."), module.sum.neuron
        elif getattr(module, "neuron", None) is not None:
            yield name, name, module.neuron


def _phi(current: torch.Tensor, before: list[torch.Tensor], probes: int, generator: torch.Generator) -> float:
    total = 0.0
    for _ in range(probes):
        bits = torch.randint(0, 2, current.shape, generator=generator, device=current.device)
        probe = (2 * bits - 1).to(current.dtype)
        grads = torch.autograd.grad(current, before, probe, retain_graph=True, allow_unused=True)
        total += sum(float(grad.square().sum()) for grad in grads if grad is not None)
    return total / probes / current.numel()
