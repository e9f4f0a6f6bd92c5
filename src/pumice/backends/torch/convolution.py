"""A convolution as one matrix product: no transforms that round, and no loop over images."""

from __future__ import annotations

import torch


def convolve_by_product(  # noqa: PLR0917 -- as torch's conv2d
    images: torch.Tensor,
    kernel: torch.Tensor,
    stride: tuple[int, ...],
    padding: tuple[int, ...],
    dilation: tuple[int, ...] = (1, 1),
    groups: int = 1,
) -> torch.Tensor:
    """Correlate images with a kernel; sums of products in any order, of the type of what enters.

    Args:
        images: (N, height, width, channel).
        kernel: (out, channel / groups, height, width), as torch's.
        stride: (height, width), like the others.
        padding: Zeros on both sides.
        dilation: Of the kernel.
        groups: Blocks of channels that are connected with each other only.

    Returns:
        (N, height', width', out).

    Example:
        >>> convolve_by_product(torch.ones(1, 4, 4, 2), torch.ones(3, 2, 3, 3), (1, 1), (0, 0)).unique().tolist()
        [18.0]
    """
    (high, wide), (down, right) = padding, dilation
    x = torch.nn.functional.pad(images, (0, 0, wide, wide, high, high))
    reach = (kernel.shape[2] - 1) * down + 1, (kernel.shape[3] - 1) * right + 1
    windows = x.unfold(1, reach[0], stride[0]).unfold(2, reach[1], stride[1])[..., ::down, ::right]
    parts = zip(windows.chunk(groups, 3), kernel.chunk(groups), strict=True)
    return torch.cat([torch.nn.functional.linear(part.flatten(3), rows.flatten(1)) for part, rows in parts], -1)
