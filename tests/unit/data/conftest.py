import numpy as np
import pytest


def recordings(rng, n, size=34, duration=300_000, events=200):
    """Arrays of an event npz file, times sorted within each recording."""
    counts = rng.integers(1, events, n)
    offsets = np.concatenate([[0], np.cumsum(counts)])
    total = int(offsets[-1])
    t = np.concatenate([np.sort(rng.integers(0, duration, count)) for count in counts]).astype(np.uint32)
    x, y = rng.integers(0, size, (2, total)).astype(np.uint8)
    return {
        "x": x,
        "y": y,
        "t": t,
        "p": rng.integers(0, 2, total).astype(np.uint8),
        "offsets": offsets,
        "label": rng.integers(0, 10, n).astype(np.uint8),
    }


@pytest.fixture
def nmnist_folder(tmp_path, rng):
    for name, n in (("train", 12), ("test", 5)):
        np.savez(tmp_path / f"{name}.npz", **recordings(rng, n))
    return tmp_path


@pytest.fixture
def fsdd_folder(tmp_path, rng):
    """Two speakers, all digits, tones of different pitch."""
    for name, takes in (("train", range(1, 3)), ("test", range(1))):
        waves, labels, speakers = [], [], []
        for speaker in (0, 1):
            for digit in range(10):
                for _ in takes:
                    time = np.arange(int(rng.integers(1500, 3000))) / 8000
                    wave = np.sin(2 * np.pi * (300 + 250 * digit) * time) * np.hanning(len(time)) * (1 + speaker)
                    waves.append((8000 * wave).astype(np.int16))
                    labels.append(digit)
                    speakers.append(speaker)
        np.savez(
            tmp_path / f"{name}.npz",
            audio=np.concatenate(waves),
            offsets=np.cumsum([0, *map(len, waves)]),
            label=np.array(labels, np.uint8),
            speaker=np.array(speakers, np.uint8),
            take=np.zeros(len(labels), np.uint8),
            speakers=np.array(["ann", "bob"]),
            rate=8000,
        )
    return tmp_path
