"""Convolutions by one product are torch's."""

from itertools import product

import pytest
import torch

from pumice.backends.torch.convolution import convolve_by_product


@pytest.mark.parametrize("groups", [1, 2])
def test_equal_torchs(groups):
    g = torch.Generator().manual_seed(0)
    x = torch.randint(0, 5, (3, 4, 9, 8), generator=g).float()
    kernel = torch.randint(-9, 9, (6, 4 // groups, 3, 2), generator=g).float()
    for stride, padding, dilation in product([(1, 1), (2, 1)], [(0, 0), (1, 2)], [(1, 1), (2, 3)]):
        wanted = torch.nn.functional.conv2d(x, kernel, None, stride, padding, dilation, groups)
        found = convolve_by_product(x.movedim(1, -1), kernel, stride, padding, dilation, groups)
        assert torch.equal(found.movedim(-1, 1), wanted)
