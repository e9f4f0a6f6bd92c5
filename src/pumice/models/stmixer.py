"""The Spiking Token Mixer: a transformer-like network without any product of activations."""

from __future__ import annotations

from functools import partial
from typing import Any

import torch

from pumice import nn
from pumice.errors import InputError
from pumice.nn.blocks.surrogate_module import ACTIVATIONS
from pumice.nn.checks import check_choice, check_image, check_sizes


class STMixer(torch.nn.Module):
    r"""What `stmixer` makes.

    .. math:: y(t) = \mathrm{head}(E_{2L}(\dots E_1(\mathrm{embed}(x))))(t)

    Deng, Wu, Du, Gu: Spiking Token Mixer, NeurIPS 2024.

    Attributes:
        embed: Image to stream of currents.
        encoders: Token mixers and channel mixers in turn, two for each unit of depth.
        head: Stream to answer.
        surrogates: Auxiliary networks, called in training only; `pumice.train.watch_surrogates` reads what they give.

    Shape:
        (batch, channel, height, width, time) -> (batch, n_classes, time), real numbers.

    Example:
        >>> params = {"threshold": 1.0, "current_decay": 1.0, "voltage_decay": 0.5}
        >>> net = stmixer(params, (3, 8, 8), 10, embed_dim=16, depth=1, heads=2)
        >>> isinstance(net, STMixer), len(net.encoders)
        (True, 2)
    """

    def __init__(
        self,
        embed: nn.SpikingPatchSplitting,
        encoders: list[torch.nn.Module],
        head: nn.LinearReadout,
        surrogates: list[nn.SurrogateModule],
    ) -> None:
        super().__init__()
        self.embed = embed
        self.encoders = torch.nn.ModuleList(encoders)
        self.head = head
        self.surrogates = torch.nn.ModuleList(surrogates)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Answers of every step."""
        stream = self.embed(x)
        for depth in range(len(self.encoders) // 2):
            self._surrogate(depth, stream.value if self._is_taught else None)
            for encoder in self.encoders[2 * depth : 2 * depth + 2]:
                stream = encoder(stream)
        answer: torch.Tensor = self.head(stream)
        return answer

    @property
    def _is_taught(self) -> bool:
        # Deployed, the stream are integers without bias, which the surrogates never saw.
        return self.training and len(self.surrogates) > 0 and not self.head.is_deployed

    def _surrogate(self, depth: int, stream: torch.Tensor | None) -> None:
        if stream is not None and depth % 2 == 0 and depth // 2 < len(self.surrogates):
            self.surrogates[depth // 2](stream)


def stmixer(
    neuron_params: dict[str, Any],
    image_shape: tuple[int, int, int],
    n_classes: int,
    *,
    embed_dim: int = 384,
    depth: int = 4,
    heads: int = 16,
    downsampling: int = 2,
    expansion: int = 4,
    surrogates: bool = False,
    surrogate_activation: str = "gelu",
    short_path: bool = True,
    bias: bool = True,
) -> STMixer:
    r"""A Spiking Token Mixer.

    .. math:: I_0 = \mathrm{IPSPS}(x), \qquad I_l = \mathrm{CM}_l(\mathrm{TM}_l(I_{l-1})), \qquad
              y(t) = W \, \underset{n}{\mathrm{mean}} \, I_{L,n}(t) + b

    of `nn.SpikingPatchSplitting`, `nn.TokenMixerBlock`, `nn.ChannelMixerBlock` and `nn.LinearReadout`, tokens n.

    Deng, Wu, Du, Gu: Spiking Token Mixer: An Event-Driven Friendly Former Structure for Spiking Neural Networks,
    NeurIPS 2024. Its neurons have threshold 1, `current_decay` 1, `voltage_decay` .5 and the surrogate gradient
    "dspike"; they fire where it is *exceeded*, as on the chip.

    Args:
        neuron_params: SLAYER's dictionary for every layer; a norm in it is ignored, batch norm is always there.
        image_shape: (channel, height, width).
        n_classes: Length of the answer.
        embed_dim: D, channels of the stream, a multiple of 8 and of `heads`.
        depth: L, pairs of a token mixer and a channel mixer.
        heads: Matrices of each token mixer.
        downsampling: The image's sides are divided by 2^downsampling.
        expansion: Of the channel mixers.
        surrogates: Whether there are auxiliary networks for surrogate module learning.
        surrogate_activation: "gelu" or "selu".
        short_path: Whether the image has an analogue path past the first spikes.
        bias: Whether norms and read-out have biases; without, no neuron acts without input.

    Returns:
        (batch, channel, height, width, time) -> (batch, n_classes, time), real numbers whose sum over time decides.

    Raises:
        InputError: The arguments do not make a network.

    Example:
        >>> params = {"threshold": 1.0, "current_decay": 1.0, "voltage_decay": 0.5, "surrogate": "dspike"}
        >>> net = stmixer(params, (3, 8, 8), 10, embed_dim=16, depth=2, heads=2)
        >>> net(torch.ones(2, 3, 8, 8, 4)).shape
        torch.Size([2, 10, 4])
    """
    check_image("stmixer", image_shape)
    check_sizes("stmixer", n_classes=n_classes, embed_dim=embed_dim, depth=depth, heads=heads, expansion=expansion)
    check_sizes("stmixer", downsampling=downsampling)
    check_choice("stmixer", "surrogate_activation", surrogate_activation, ACTIVATIONS)
    channels, height, width = image_shape
    patch = 2**downsampling
    if height % patch or width % patch:
        raise InputError(
            f"stmixer: patches of {patch} x {patch} do not divide an image of {height} x {width}; "
            "use another downsampling, or pad the images"
        )
    params = {name: value for name, value in neuron_params.items() if name != "norm"}
    norm = partial(nn.TDBN if bias else nn.BiasFreeNorm, threshold=params.get("threshold"))
    neurons = partial(nn.Neurons, params)
    tokens = (height // patch) * (width // patch)
    encoders: list[torch.nn.Module] = []
    for _ in range(depth):
        encoders.append(nn.TokenMixerBlock(embed_dim, tokens=tokens, heads=heads, neurons=neurons, norm=norm))
        encoders.append(nn.ChannelMixerBlock(embed_dim, neurons=neurons, norm=norm, expansion=expansion))
    modules = nn.surrogate_encoders(depth) if surrogates else []
    return STMixer(
        nn.SpikingPatchSplitting(channels, embed_dim, downsampling, neurons, norm, short_path=short_path),
        encoders,
        nn.LinearReadout(embed_dim, n_classes, bias=bias),
        [
            nn.SurrogateModule(
                embed_dim,
                tokens=tokens,
                n_classes=n_classes,
                encoders=n,
                heads=heads,
                activation=surrogate_activation,
            )
            for n in modules
        ],
    )
