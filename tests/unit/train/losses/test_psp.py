import numpy as np
import torch

from pumice.train.losses.psp import alpha_kernel, convolve, correlate


def test_convolution_is_numpys():
    generator = torch.Generator().manual_seed(0)
    x = torch.rand(2, 3, 9, generator=generator, dtype=torch.float64)
    kernel = alpha_kernel(2.0, 9, x)
    expected = [[np.convolve(row, kernel.numpy())[:9] for row in sample] for sample in x.numpy()]
    np.testing.assert_allclose(convolve(x, kernel).numpy(), expected, rtol=1e-12)


def test_correlation_is_the_adjoint():
    generator = torch.Generator().manual_seed(1)
    x, y = torch.rand(2, 4, 7, generator=generator, dtype=torch.float64)
    kernel = alpha_kernel(1.5, 7, x)
    torch.testing.assert_close((convolve(x, kernel) * y).sum(), (x * correlate(y, kernel)).sum())


def test_the_kernel_peaks_with_one_at_tau():
    kernel = alpha_kernel(5.0, 40, torch.zeros(1, dtype=torch.float64))
    assert kernel.argmax() == 5
    assert kernel[5] == 1
