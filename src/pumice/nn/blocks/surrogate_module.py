"""Auxiliary artificial networks that give the middle of a spiking network a cleaner gradient."""

from __future__ import annotations

import torch

from pumice.nn.blocks.activation import Activation
from pumice.nn.blocks.channel_mixer import ChannelMixerBlock
from pumice.nn.blocks.current import Current
from pumice.nn.blocks.selu import self_normalizing_
from pumice.nn.blocks.token_mixer import TokenMixerBlock
from pumice.nn.checks import check_choice, check_sizes
from pumice.nn.norms.tdbn import TDBN
from pumice.nn.padding import ReadsPadding
from pumice.nn.synapses.base import NormFactory
from pumice.nn.synapses.conv import ConvSynapse

EXPANSION = 4
ACTIVATIONS: dict[str, type[torch.nn.Module]] = {"gelu": torch.nn.GELU, "selu": torch.nn.SELU}


class SurrogateModule(ReadsPadding, torch.nn.Module):
    r"""An artificial head that reads a stream of currents in the middle of a spiking network.

    .. math:: z = W \, \underset{n}{\mathrm{mean}} \, E_m(\dots E_1(\sigma(\mathrm{BN}(W_0 \, \bar I))))_n + b,
              \qquad \bar I = \frac{1}{T} \sum_t I(t)

    with token and channel mixers E like the spiking network's, but activations in the place of neurons. Its loss
    reaches the first layers of the spiking network past all spikes that come later. It is used in training only.

    Deng, Lin, Li, Gu: Surrogate Module Learning, ICML 2023; Deng, Wu, Du, Gu: Spiking Token Mixer, NeurIPS 2024. The
    latter's program averages different samples where T > 1; here each sample is averaged over its own steps.

    Args:
        channels: D of the stream.
        tokens: Of the stream, height * width.
        n_classes: Length of the answer.
        encoders: m, pairs of a token mixer and a channel mixer.
        heads: Of the token mixers.
        activation: "gelu", with batch norm; or "selu", without norm, with the initialisation that keeps mean 0 and
            variance 1 (Klambauer, Unterthiner, Mayr, Hochreiter: Self-Normalizing Neural Networks, NeurIPS 2017).

    Shape:
        (batch, D, height, width, time) -> (batch, n_classes).

    Raises:
        InputError: A size is below 1, the heads do not divide the channels, or there is no such activation.

    Example:
        >>> SurrogateModule(8, tokens=6, n_classes=10, heads=2)(torch.ones(4, 8, 2, 3, 5)).shape
        torch.Size([4, 10])
    """

    def __init__(
        self,
        channels: int,
        *,
        tokens: int,
        n_classes: int,
        encoders: int = 1,
        heads: int = 1,
        activation: str = "gelu",
    ) -> None:
        super().__init__()
        check_sizes("SurrogateModule", n_classes=n_classes)
        check_choice("SurrogateModule", "activation", activation, ACTIVATIONS)
        norm: NormFactory | None = (lambda: TDBN(threshold=1.0)) if activation == "gelu" else None

        def activate() -> torch.nn.Module:
            return Activation(ACTIVATIONS[activation]())

        self.stem = ConvSynapse(channels, channels, 1, norm=norm)
        self.fire = activate()
        self.encoders = torch.nn.ModuleList()
        for _ in range(encoders):
            self.encoders.append(TokenMixerBlock(channels, tokens=tokens, heads=heads, neurons=activate, norm=norm))
            self.encoders.append(ChannelMixerBlock(channels, neurons=activate, norm=norm, expansion=EXPANSION))
        self.linear = torch.nn.Linear(channels, n_classes)
        if activation == "selu":
            self_normalizing_(self)

    def forward(self, stream: torch.Tensor) -> torch.Tensor:
        """The answer, from the stream's mean over time, its padding left out."""
        own = self.own_steps_of(stream)
        if own is None:
            mean = stream.mean(-1, keepdim=True)
        else:
            mean = (stream * own).sum(-1, keepdim=True) / own.sum(-1, keepdim=True)
        current = Current.of(self.stem, mean)
        current = Current.holding(self.fire(current))
        for encoder in self.encoders:
            current = encoder(current)
        logits: torch.Tensor = self.linear(current.value.flatten(2).mean(2))
        return logits


def surrogate_encoders(depth: int) -> list[int]:
    """How many encoders the surrogate modules of a network with `depth` encoders have, in their order.

    The first module reads the embedding, the next ones the stream after encoder 2, 4, ...; the deeper they read, the
    shallower they are: max(m - i, 1), with m = 1, 2, 3 for a depth of 2, 4, 6 and more. As in the program of Deng,
    Wu, Du, Gu: Spiking Token Mixer, NeurIPS 2024.

    Example:
        >>> surrogate_encoders(1), surrogate_encoders(4), surrogate_encoders(10)
        ([], [2, 1], [3, 2, 1, 1, 1])
    """
    modules = depth // 2
    return [max(min(modules, 3) - index, 1) for index in range(modules)]


def freeze_surrogates_(model: torch.nn.Module) -> None:
    """Take the surrogate modules out of training: nothing reads them, and their weights shall wait for no gradient.

    Example:
        >>> module = SurrogateModule(8, tokens=4, n_classes=3)
        >>> freeze_surrogates_(module)
        >>> any(parameter.requires_grad for parameter in module.parameters())
        False
    """
    for module in model.modules():
        if isinstance(module, SurrogateModule):
            module.requires_grad_(False)
