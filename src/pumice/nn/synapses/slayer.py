"""SLAYER's synapses with fast products: same parameters, same sums, time-major memory.

Quantised weights are multiples of 2/64 and spikes are whole numbers. Below 2^24 * 2/64 every partial sum is a float32
exactly, so products may be computed in any order, and the currents equal SLAYER's. (With a norm that folds, weights
are not quantised in training; there the order of summation shows in the last bits.)
"""

from __future__ import annotations

import math
from typing import Any

import torch
import torch.nn.functional as F
from lava.lib.dl.slayer import synapse as slayer
from lava.lib.dl.slayer.neuron import base as slayer_base

from pumice.backends.torch.convolution import convolve_by_product
from pumice.errors import InputError
from pumice.names import counted
from pumice.nn.checks import check_input, check_samples
from pumice.nn.exact import direct_convolution, exactly_if_deployed
from pumice.nn.layout import slayer_order, time_major
from pumice.nn.neurons.cuba import CubaNeuron
from pumice.nn.remade import become_, remade
from pumice.nn.synapses.sparse_convolution import convolve_events
from pumice.nn.synapses.sparse_product import FEWEST_OUTPUTS, Events, event_linear, has_loops, most_spikes


class _Deployable:
    """A synapse that computes exact integers once its weight is replaced by integers."""

    pre_hook_fx: Any

    @property
    def is_deployed(self) -> bool:
        """Whether the weight is replaced by the chip's integers."""
        return getattr(self.pre_hook_fx, "gives_integers", False)

    def _wrapped(self, sums: torch.Tensor) -> torch.Tensor:
        """A deployed convolution's sums as the chip holds them."""
        return self.pre_hook_fx.held(sums) if self.is_deployed else sums


class Dense(_Deployable, slayer.Dense):
    """`lava.lib.dl.slayer.synapse.Dense` as one matrix product, or over the non-zero inputs if they are few.

    Shape:
        (batch, in_neurons, time) -> (batch, out_neurons, time); (batch, channel, height, width, time) as in SLAYER.
    """

    @exactly_if_deployed
    def forward(self, input: torch.Tensor) -> torch.Tensor:
        """The currents."""
        _check(self, input)
        weight = _weight(self)
        input = _like(input, weight)
        if weight[0, 0].numel() > 1:  # a kernel as large as the image
            return _conv(self, input, weight)
        weight = weight.flatten(1)
        found = Events.find(input, most_spikes(len(weight))) if _may_be_sparse(input, weight) else None
        if found is not None:
            return slayer_order(event_linear(input, weight, found))
        return slayer_order(F.linear(time_major(input), weight))


class Conv(_Deployable, slayer.Conv):
    """`lava.lib.dl.slayer.synapse.Conv` as convolutions of images with channels last, one for each step.

    Shape:
        (batch, in_features, height, width, time) -> (batch, out_features, height', width', time).
    """

    @exactly_if_deployed
    def forward(self, input: torch.Tensor) -> torch.Tensor:
        """The currents."""
        _check(self, input)
        weight = _weight(self)
        return self._wrapped(_conv(self, _like(input, weight), weight))


class Pool(_Deployable, slayer.Pool):
    """`lava.lib.dl.slayer.synapse.Pool` as sums over windows, wherever SLAYER's stays within its channel.

    Shape:
        (batch, channel, height, width, time) -> (batch, channel, height / k, width / k, time).
    """

    @exactly_if_deployed
    def forward(self, input: torch.Tensor) -> torch.Tensor:
        """The currents."""
        _check(self, input)
        kernel = self.kernel_size[:2]
        # SLAYER appends as many rows as the size leaves over, not as many as are missing.
        height, width = (n + n % k for n, k in zip(input.shape[2:4], kernel, strict=True))
        if not _is_plain(self) or height % kernel[0] or width % kernel[1]:
            reach, columns = _reach(self)
            rows = (height * input.shape[1] - reach) // self.stride[0] + 1
            _check_rows(self, input, rows if width >= columns else 0)
            return super().forward(input)
        weight = _weight(self)
        input = _like(input, weight)
        x, missing = time_major(input), (0, 0, 0, width - input.shape[3], 0, height - input.shape[2])
        x = F.pad(x, missing) if any(missing) else x  # torch would copy for nothing
        # Each weight may have a gradient of its own. A compiled graph cannot look at numbers, and a GPU would have to
        # be waited for.
        unknown = weight.requires_grad or torch.compiler.is_compiling() or x.is_cuda
        if unknown or not torch.all(weight == weight.view(-1)[0]):
            windows = x.unflatten(3, (-1, kernel[1])).unflatten(2, (-1, kernel[0]))
            return self._wrapped(slayer_order((windows * weight.view(kernel[0], 1, kernel[1], 1)).sum((3, 5))))
        sums = F.avg_pool2d(_images(x), kernel, divisor_override=1) * weight.view(-1)[0]
        return self._wrapped(slayer_order(sums.movedim(1, -1).unflatten(0, x.shape[:2])))


class ConvTranspose(_Deployable, slayer.ConvTranspose):
    """`lava.lib.dl.slayer.synapse.ConvTranspose` over images, one for each step.

    Shape:
        (batch, in_features, height, width, time) -> (batch, out_features, height', width', time).
    """

    @exactly_if_deployed
    def forward(self, input: torch.Tensor) -> torch.Tensor:
        """The currents."""
        _check(self, input)
        weight = _weight(self)
        x = time_major(_like(input, weight))
        return _steps_of(_conv_transpose(self, _images(x).contiguous(), weight, self.groups), x)


class Unpool(_Deployable, slayer.Unpool):
    """`lava.lib.dl.slayer.synapse.Unpool` with each channel by itself, wherever SLAYER's stays within its channel.

    Shape:
        (batch, channel, height, width, time) -> (batch, channel, k * height, k * width, time).
    """

    @exactly_if_deployed
    def forward(self, input: torch.Tensor) -> torch.Tensor:
        """The currents."""
        _check(self, input)
        weight = _weight(self)
        if not _is_plain(self):
            rows = (input.shape[2] * input.shape[1] - 1) * self.stride[0] + _reach(self)[0]
            _check_rows(self, input, rows)
            return super().forward(_like(input, weight))
        x = time_major(_like(input, weight))
        channels = x.shape[-1]
        each = weight.expand(channels, *weight.shape[1:])
        return _steps_of(_conv_transpose(self, _images(x).contiguous(), each, channels), x)


def _is_plain(synapse: Any) -> bool:
    """Whether windows lie side by side, without gaps."""
    kernel, stride = synapse.kernel_size[:2], synapse.stride[:2]
    return stride == kernel and not any(synapse.padding) and all(d == 1 for d in synapse.dilation)


def _reach(synapse: Any) -> tuple[int, int]:
    """Rows and columns of a window, less the padding."""
    sizes = zip(synapse.kernel_size[:2], synapse.dilation, synapse.padding, strict=False)
    rows, columns = (d * (k - 1) + 1 - 2 * p for k, d, p in sizes)
    return rows, columns


def _check_rows(synapse: Any, x: torch.Tensor, rows: int) -> None:
    """Refuse windows whose result SLAYER, which lays channels end to end, cannot cut into an image for each."""
    if rows < 1 or rows % x.shape[1]:
        raise InputError(
            f"{type(synapse).__name__}: kernel {synapse.kernel_size[:2]} with stride {synapse.stride[:2]}, padding "
            f"{synapse.padding[:2]} and dilation {synapse.dilation[:2]} does not fit images {tuple(x.shape[2:4])} of "
            f"{counted(x.shape[1], 'channel')}, which SLAYER lays end to end; use a kernel that divides the image's "
            "size, with the same stride, no padding and no dilation, or a Conv"
        )


def is_transposed(synapse: Any) -> bool:
    """Whether a synapse of SLAYER's has the sources first in its weight: (in, out / groups, height, width, 1)."""
    return isinstance(synapse, (slayer.ConvTranspose, slayer.Unpool))


def targets_first(weight: torch.Tensor, groups: int) -> torch.Tensor:
    """The kernel of a transposed convolution as (out, in / groups, ...) instead of torch's (in, out / groups, ...).

    Example:
        >>> targets_first(torch.zeros(4, 3, 2, 2, 1), 2).shape
        torch.Size([6, 2, 2, 2, 1])
    """
    return weight.unflatten(0, (groups, -1)).transpose(1, 2).flatten(0, 1)


def _conv_transpose(synapse: Any, images: torch.Tensor, weight: torch.Tensor, groups: int) -> torch.Tensor:
    stride, padding, dilation = (tuple(pair[:2]) for pair in (synapse.stride, synapse.padding, synapse.dilation))
    with direct_convolution():
        return F.conv_transpose2d(images, weight[..., 0], None, stride, padding, 0, groups, dilation)


def _steps_of(images: torch.Tensor, x: torch.Tensor) -> torch.Tensor:
    """Images (time * batch, channel, height, width) of a time-major input as SLAYER's tensor."""
    return slayer_order(images.movedim(1, -1).unflatten(0, x.shape[:2]))


_FAST: dict[type, type] = {
    slayer.Dense: Dense,
    slayer.Conv: Conv,
    slayer.Pool: Pool,
    slayer.ConvTranspose: ConvTranspose,
    slayer.Unpool: Unpool,
}


def fast(synapse: Any, neuron: CubaNeuron, *, in_place: bool = False) -> Any:
    """The fast synapse of SLAYER's one, with the very same parameters.

    Args:
        synapse: One of `lava.lib.dl.slayer.synapse`; other kinds are taken as they are.
        neuron: Whose quantiser takes the place of SLAYER's, where the synapse has that.
        in_place: Whether SLAYER's object itself becomes the fast one: others may refer to it.

    Example:
        >>> stock = slayer.Dense(3, 2)
        >>> synapse = fast(stock, CubaNeuron(threshold=1.0, current_decay=1.0, voltage_decay=0.25))
        >>> type(synapse) is Dense, synapse.weight is stock.weight
        (True, True)
    """
    if type(synapse) in _FAST:
        synapse = (become_ if in_place else remade)(synapse, _FAST[type(synapse)])
    if getattr(synapse.pre_hook_fx, "__func__", None) is slayer_base.Neuron.quantize_8bit:
        synapse.pre_hook_fx = neuron.quantize_8bit
    return synapse


def _check(synapse: Any, x: Any) -> None:
    """Refuse what torch would refuse in its own words, and an image that was to be flattened."""
    check_samples(x)
    name, takes = type(synapse).__name__, synapse.in_channels
    if isinstance(synapse, (slayer.Pool, slayer.Unpool)):
        takes = x.shape[1] if x.ndim > 1 else 1  # any number of channels
    is_image = not isinstance(synapse, slayer.Dense) or math.prod(synapse.kernel_size) > 1
    if not is_image and x.ndim == 5 and x.shape[1] != takes == math.prod(x.shape[1:4]):
        raise InputError(
            f"{name} takes (batch, {takes}, time), got an image, {tuple(x.shape)}; put nn.Flatten() before it"
        )
    check_input(name, x, takes, image=is_image)


def _weight(synapse: Any) -> torch.Tensor:
    weight: torch.Tensor = synapse.weight
    return weight if synapse.pre_hook_fx is None else synapse.pre_hook_fx(weight)


def _like(x: torch.Tensor, weight: torch.Tensor) -> torch.Tensor:
    """What enters in float64, if the weight is: fixed point may need it."""
    return x.double() if weight.dtype == torch.float64 else x


def _may_be_sparse(x: torch.Tensor, weight: torch.Tensor) -> bool:
    """Whether it pays to look for events: of neurons, into enough of them, where there are loops for them.

    Sizes that do not fit are torch's to refuse. A weight that is not finite must show, wherever it is; a product over
    events reads some weights only.
    """
    if x.ndim != 3 or len(weight) < FEWEST_OUTPUTS or x.shape[1] != weight.shape[1]:
        return False
    return has_loops(x, weight) and math.isfinite(weight.detach().sum().item())


def _conv(synapse: Any, x: torch.Tensor, weight: torch.Tensor) -> torch.Tensor:
    names = ("stride", "padding", "dilation")
    over_image = {name: getattr(synapse, name)[:2] for name in names}
    return convolve_steps(x, weight[..., 0], **over_image, groups=synapse.groups)


def convolve_steps(
    x: torch.Tensor,
    weight: torch.Tensor,
    *,
    stride: tuple[int, ...] = (1, 1),
    padding: tuple[int, ...] = (0, 0),
    dilation: tuple[int, ...] = (1, 1),
    groups: int = 1,
) -> torch.Tensor:
    """A convolution that takes every step for an image, with channels last in memory.

    Strides of a kernel of one position are taken before it: oneDNN's backward pass of such a one writes beside its
    memory where there are few channels (seen: torch 2.15, AVX2, 4 channels).

    Args:
        x: (batch, channel, height, width, time).
        weight: (out, channel / groups, height, width).
        stride: (height, width), like the others.
        padding: Zeros.
        dilation: Of the kernel.
        groups: Blocks of channels that are connected with each other only.

    Example:
        >>> convolve_steps(torch.ones(1, 2, 4, 4, 5), torch.ones(3, 2, 3, 3)).shape
        torch.Size([1, 3, 2, 2, 5])
    """
    x = time_major(x)
    if weight.shape[2:] == (1, 1) and not any(padding):  # what a stride passes over is not read
        x, stride = x[:, :, :: stride[0], :: stride[1]].contiguous(), (1, 1)
    steps_and_batch = x.shape[:2]
    images = _images(x)
    kernel = weight.contiguous(memory_format=torch.channels_last) if weight.shape[1] > 1 else weight.contiguous()
    columns = images.shape[-1] + 2 * padding[1] - dilation[1] * (weight.shape[-1] - 1)  # of the output, at stride 1
    if images.shape[1] == 1 and columns > stride[1]:  # see `_images`; torch lays the output out as the kernel says
        height, width = weight.shape[2:]
        kernel = kernel.as_strided(weight.shape, (height * width, 1, width, 1))
    if images.is_cuda and not torch.backends.cudnn.enabled:  # torch would convolve image by image
        y = convolve_by_product(images.movedim(1, -1), kernel, stride, padding, dilation, groups)
        return slayer_order(y.unflatten(0, steps_and_batch))
    with direct_convolution():
        whole = groups == 1 and tuple(dilation) == (1, 1)
        found = convolve_events(images, kernel, stride, padding) if whole else None
        y = F.conv2d(images, kernel, None, stride, padding, dilation, groups) if found is None else found
    return slayer_order(y.movedim(1, -1).unflatten(0, steps_and_batch))


def _images(x: torch.Tensor) -> torch.Tensor:
    """Time-major (time, batch, height, width, channel) as images (time * batch, channel, height, width), not copied.

    With one channel, "channels last" are the strides (height * width, 1, width, 1). oneDNN then gives numbers that it
    never wrote where the output is one column wide (seen: torch 2.15, AVX-512); with contiguous strides of images and
    kernel it does not.
    """
    images = x.flatten(0, 1)
    return images.squeeze(-1).unsqueeze(1) if images.shape[-1] == 1 else images.movedim(-1, 1)
