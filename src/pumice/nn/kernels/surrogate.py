"""The surrogates of `pumice.nn.surrogate` in compiled loops, by their kernel's name and two numbers.

Except for the exponentials, which torch computes differently in the last bit, every number is `derivative`'s. Each is
a type here, so that a loop is compiled for the one that it needs, and not for all.
"""

# ruff: noqa: PLR0917 -- compiled loops take their arrays by position

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
from llvmlite import ir
from numba import types
from numba.extending import intrinsic, overload

from pumice.jit import njit
from pumice.nn.kernels.cuba import flush
from pumice.nn.kernels.spread import Array
from pumice.nn.surrogate.base import COMPILED

C0, C1, C2, C3, C4, C5, C6 = (np.float32(math.log(2) ** n / math.factorial(n)) for n in range(7))  # of 2^f
LOG2E = np.float32(1 / math.log(2))
ZERO, ONE, TWO, FOUR, LOWEST, HIGHEST = (np.float32(n) for n in (0, 1, 2, 4, -125, 127))
WITHOUT_CHECKS: Any = {"error_model": "numpy"}
"""A test for a divisor of zero would keep loops from filling vector registers."""


def _bitcast(_typing: Any, _bits: Any) -> tuple[Any, Callable[..., Any]]:
    def generated(_context: Any, builder: Any, _signature: Any, arguments: Any) -> Any:
        return builder.bitcast(arguments[0], ir.FloatType())

    return types.float32(types.int32), generated


_float32_of_bits: Any = intrinsic(_bitcast)


@njit(nogil=True, cache=True, **WITHOUT_CHECKS)
def _power_of_2(x: Any) -> Any:
    """2^x for x from -125 to 127, to the last bits of float32: 2^n (1 + f ln 2 + ...)."""
    n = np.rint(x)
    f = x - n
    two_to_n = _float32_of_bits((np.int32(n) + np.int32(127)) << np.int32(23))
    return ((((((C6 * f + C5) * f + C4) * f + C3) * f + C2) * f + C1) * f + C0) * two_to_n


class Numbers(NamedTuple):
    """A surrogate's two numbers; its class has the derivative, of the voltage less the threshold."""

    a: np.float32
    b: np.float32


class Rectangular(Numbers):
    """See `pumice.nn.surrogate`."""

    @staticmethod
    def _derivative(of: Any, x: Any) -> Any:
        return ONE / of.a if abs(x) < of.a / TWO else ZERO


class Triangle(Numbers):
    """See `Rectangular`."""

    @staticmethod
    def _derivative(of: Any, x: Any) -> Any:
        return max(ONE - abs(x) / of.a, ZERO) / of.a


class Arctan(Numbers):
    """See `Rectangular`."""

    @staticmethod
    def _derivative(of: Any, x: Any) -> Any:
        return ONE / (ONE + (of.b * x) * (of.b * x)) * (of.a / TWO)


class FastSigmoid(Numbers):
    """See `Rectangular`."""

    @staticmethod
    def _derivative(of: Any, x: Any) -> Any:
        return ONE / ((ONE + of.a * abs(x)) * (ONE + of.a * abs(x))) * (of.a / TWO)


class Dspike(Numbers):
    """See `Rectangular`."""

    @staticmethod
    def _derivative(of: Any, x: Any) -> Any:
        tail = _power_of_2(max(abs(x) * (-TWO * of.a * LOG2E), LOWEST))  # 1 - tanh^2 = 4 e / (1 + e)^2
        return (of.b if abs(x) <= ONE else ZERO) * (FOUR * tail / ((ONE + tail) * (ONE + tail)))


class Exponential(Numbers):
    """See `Rectangular`."""

    @staticmethod
    def _derivative(of: Any, x: Any) -> Any:
        return of.b * _power_of_2(min(max(abs(x) * (-LOG2E / of.a), LOWEST), HIGHEST))


class GradedExponential(Numbers):
    """See `Rectangular`."""

    @staticmethod
    def _derivative(of: Any, x: Any) -> Any:
        return of.b * _power_of_2(min(max(max(-x, ZERO) * (-LOG2E / of.a), LOWEST), HIGHEST))


class Given(Numbers):
    """Its slope is what the loop is given."""


GIVEN = "given"
_CLASSES = (Rectangular, Triangle, Arctan, FastSigmoid, Dspike, Exponential, GradedExponential)
KINDS: dict[str, type[Numbers]] = {**dict(zip(COMPILED, _CLASSES, strict=True)), GIVEN: Given}
"""By the name of their kernel; `GIVEN` is that of a derivative which the caller has computed."""


def of_kernel(kind: str, a: float, b: float) -> Numbers:
    """What the loops take for `Surrogate.kernel`.

    Example:
        >>> type(of_kernel("arctan", 2.0, 1.0)).__name__
        'Arctan'
    """
    return KINDS[kind](np.float32(a), np.float32(b))


def _derivative(of: Any, x: Any) -> Any:
    """`of._derivative(of, x)`, in compiled loops."""
    raise NotImplementedError


@overload(_derivative, strict=False, jit_options=WITHOUT_CHECKS)
def _derivative_of_type(of: Any, _x: Any) -> Callable[..., Any]:
    derivative: Callable[..., Any] = of.instance_class._derivative
    return derivative


def slope(of: Any, v: Any, threshold: Any, scale: Any, given: Any) -> Any:
    """f'((v - threshold) / scale) / scale, or what is given; in compiled loops.

    Args:
        of: The surrogate, see `of_kernel`.
        v: Voltage, float32.
        threshold: In its units.
        scale: Of these units in one of the surrogate's.
        given: The slope, of the kind that is given.
    """
    raise NotImplementedError


@overload(slope, strict=False, jit_options=WITHOUT_CHECKS)
def _slope_of_type(of: Any, *_: Any) -> Callable[..., Any]:
    if of.instance_class is Given:
        return lambda of, v, threshold, scale, given: given
    return lambda of, v, threshold, scale, given: _derivative(of, (v - threshold) / scale) / scale


@njit(nogil=True, cache=True, **WITHOUT_CHECKS)
def surrogate_backward(
    start: int, stop: int, g_s: Array, v: Array, threshold: np.float32, scale: np.float32, of: Any, g: Array
) -> None:
    """Write g = g_s h, on flat arrays.

    Args:
        start: First number.
        stop: Behind the last number.
        g_s: Gradient of the spikes.
        v: See `slope`, like the next three.
        threshold: See there.
        scale: See there.
        of: See there.
        g: Receives the gradient of the voltages.
    """
    for i in range(np.uintp(start), np.uintp(stop)):
        g[i] = flush(g_s[i] * slope(of, v[i], threshold, scale, g[i]))
