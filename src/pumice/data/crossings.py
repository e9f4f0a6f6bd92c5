"""Sound to events: a log-mel filter bank whose bands fire where their level crosses fixed thresholds."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np
import numpy.typing as npt

from pumice.data.events import EVENT, Events
from pumice.errors import InputError

FLOOR_DB = 60.0


@cache
def mel_filters(rate: int, window: int, bands: int) -> npt.NDArray[np.float64]:
    """Triangles of equal area whose corners are evenly spaced in mel (M. Slaney, Auditory Toolbox, 1998).

    A mel is 200/3 Hz below 1 kHz; above, 27 of them are a factor of 6.4.

    Args:
        rate: Samples per second.
        window: Samples per frame.
        bands: How many, up to half the rate.

    Returns:
        Weight of each frequency of a frame, shape (bands, window // 2 + 1).

    Example:
        >>> mel_filters(8000, 256, 4).shape
        (4, 129)
    """
    linear, octaves = 3 / 200, 27 / np.log(6.4)
    top = 1000 * linear + octaves * np.log(rate / 2000) if rate > 2000 else rate / 2 * linear
    mel = np.linspace(0, top, bands + 2)
    hertz = np.where(mel < 15, mel / linear, 1000 * np.exp(np.maximum(mel - 15, 0) / octaves))
    frequencies = np.fft.rfftfreq(window, 1 / rate)
    rising = (frequencies - hertz[:-2, None]) / np.diff(hertz)[:-1, None]
    falling = (hertz[2:, None] - frequencies) / np.diff(hertz)[1:, None]
    filters: npt.NDArray[np.float64] = np.maximum(0, np.minimum(rising, falling))
    return filters * (2 / (hertz[2:] - hertz[:-2]))[:, None]


def spectrum(wave: npt.NDArray[np.float64], window: int, hop: int) -> npt.NDArray[np.complex128]:
    """Short-time Fourier transform under a Hann window; frames are centered on each `hop`, with zeros at both ends.

    Args:
        wave: The sound, shape (n,).
        window: Samples per frame.
        hop: Samples between frames.

    Returns:
        Shape (window // 2 + 1, n // hop + 1).

    Example:
        >>> spectrum(np.ones(160), window=16, hop=80).shape
        (9, 3)
    """
    hann = 0.5 - 0.5 * np.cos(2 * np.pi * np.arange(window) / window)
    padded = np.pad(wave, window // 2)
    padded = np.pad(padded, (0, max(0, window - len(padded))))
    frames = np.lib.stride_tricks.sliding_window_view(padded, window)[::hop]
    return np.fft.rfft(frames * hann, axis=1).T


@dataclass(frozen=True)
class CrossingEncoder:
    r"""Each crossing of a level by a band's energy is one event.

    The power :math:`S_b[j]` of mel band b in frame j (Hann window, Slaney's filters) becomes decibels
    above the floor, relative to the recording's own peak, so that loudness does not matter:

    .. math:: E_b[j] = \max\bigl(0,\; 60 + 10 \log_{10} (S_b[j] / \max_{b,j} S) \bigr)

    :math:`E_b` starts from 0 before the first frame and is joined by straight lines. Whenever it crosses a level
    :math:`k \Delta` (k = 1 .. K, :math:`K = \lceil 60 / \Delta \rceil - 1`) upwards there is an ON event, downwards
    an OFF event, at the time of the crossing. Column x is the band, row y is k - 1, so ON minus OFF events up to a
    time give the level: nothing but the steps below one :math:`\Delta` is lost.

    Attributes:
        rate: Samples per second of the sound.
        bands: Mel bands.
        spacing: Delta, decibels between two levels.
        window: Samples per frame.
        hop: Samples between frames.

    Raises:
        InputError: A value does not fit.

    Example:
        >>> encoder = CrossingEncoder(rate=8000, bands=4, spacing=20.0)
        >>> encoder.sensor_shape
        (2, 2, 4)
        >>> events = encoder.encode(np.sin(np.arange(4000) * 0.5))
        >>> len(events) > 0 and bool((np.diff(events["t"]) >= 0).all())
        True
    """

    rate: int = 8000
    bands: int = 32
    spacing: float = 10.0
    window: int = 256
    hop: int = 80

    def __post_init__(self) -> None:
        if not (1 <= self.bands <= 1024 and self.hop >= 1 and self.window >= 16 and self.rate >= 1):
            raise InputError(
                "the sound encoding needs bands in 1..1024, hop >= 1, window >= 16 and rate >= 1, got "
                f"{self.bands}, {self.hop}, {self.window} and {self.rate}"
            )
        if not 0.01 <= self.spacing < FLOOR_DB:
            raise InputError(
                f"the sound encoding's spacing must lie between 0.01 and {FLOOR_DB:g} dB, got {self.spacing}"
            )

    @property
    def levels(self) -> int:
        """K, levels per band."""
        return int(np.ceil(FLOOR_DB / self.spacing)) - 1

    @property
    def sensor_shape(self) -> tuple[int, int, int]:
        """(2, levels, bands)."""
        return 2, self.levels, self.bands

    def decibels(self, wave: npt.NDArray[Any]) -> npt.NDArray[np.float64]:
        """E, shape (band, frame), 0 to 60.

        Args:
            wave: The sound, shape (n,), of any scale; silence gives 0 everywhere.
        """
        amplitude = np.abs(spectrum(np.asarray(wave, np.float64), self.window, self.hop))
        power = mel_filters(self.rate, self.window, self.bands) @ amplitude**2
        peak = power.max()
        if peak <= 0:
            return np.zeros(power.shape)
        return np.maximum(0.0, FLOOR_DB + 10 * np.log10(np.maximum(power / peak, 1e-12)))

    def encode(self, wave: npt.NDArray[Any]) -> Events:
        """The events of one recording, sorted by time.

        Args:
            wave: The sound, shape (n,).
        """
        after = self.decibels(wave)
        before = np.concatenate([np.zeros((self.bands, 1)), after[:, :-1]], axis=1)
        level = self.spacing * np.arange(1, self.levels + 1)[:, None, None]
        up, down = (before < level) & (after >= level), (before >= level) & (after < level)
        row, band, frame = np.nonzero(up | down)
        height, start, end = level[row, 0, 0], before[band, frame], after[band, frame]
        hop_us = 1e6 * self.hop / self.rate
        events = np.empty(len(row), EVENT)
        events["x"], events["y"], events["p"] = band, row, up[row, band, frame]
        events["t"] = np.rint((frame + (height - start) / (end - start)) * hop_us)
        # Of equal times: always in the same order.
        return events[np.lexsort((events["p"], events["y"], events["x"], events["t"]))]
