# %% [markdown]
# # Train, lower, run
#
# A spiking network learns real 8x8 digits, becomes a graph of integers, is written as a NetX file, and runs on
# Lava's bit-accurate models. At every neuron and step, torch, the integer reference and Lava agree.
#
# `pumice demo` does the same with a report. Run this file with `uv run python tutorials/01_train_lower_run.py`.

# %%
import os
import tempfile
from pathlib import Path

import numpy as np
import torch

import pumice
from pumice import nn
from pumice.data import DirectEncoder, load_digits
from pumice.ir import from_stream, to_stream, torch_to_lava
from pumice.quantization import quantize_
from pumice.train import SpikeCountCrossEntropyLoss, predict

small = "PUMICE_TUTORIAL_SMALL" in os.environ  # set in CI
torch.manual_seed(0)
torch.set_num_threads(1)  # fastest for a network this small

# %% [markdown]
# ## Data
# The image is shown unchanged at each of 8 steps. Tensors are SLAYER's: (batch, channel, height, width, time).

# %%
data = load_digits().limited(256 if small else None, 40 if small else None)
encoder = DirectEncoder(steps=8, image_range=data.value_range)
x_train, x_test = (
    torch.tensor(encoder.encode(split.images, np.random.default_rng(0)), dtype=torch.float32)
    for split in (data.train, data.test)
)
y_train = torch.tensor(data.train.labels)

# %% [markdown]
# ## Network
# `pumice.nn` blocks are lava-dl SLAYER blocks. `TDBN` normalises while training and folds away when lowered.

# %%
lif = {
    "threshold": 0.5,
    "current_decay": 1.0,
    "voltage_decay": 0.75,
    "tau_grad": 0.03,
    "scale_grad": 3,
    "norm": nn.TDBN,
}
model = torch.nn.Sequential(
    nn.Conv(lif, 1, 16, 3, padding=1),
    nn.Conv(lif, 16, 32, 3, padding=1, stride=2),
    nn.Flatten(),
    nn.Dense(lif, 4 * 4 * 32, 10),
)


# %% [markdown]
# ## Training
# First in real numbers; then `quantize_` switches the network to the chip's arithmetic, and a few more epochs train
# through the rounding.


# %%
def fit(epochs: int, lr: float) -> None:
    optimizer, loss_of = torch.optim.AdamW(model.parameters(), lr), SpikeCountCrossEntropyLoss()
    for epoch in range(epochs):
        for batch in torch.randperm(len(x_train)).split(64):
            loss = loss_of(model(x_train[batch]), y_train[batch])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
        print(f"epoch {epoch + 1}: loss of the last batch {loss.item():.3f}")


fit(epochs=2 if small else 12, lr=5e-3)
quantize_(model, x_train[:4], input_range=encoder.value_range)
fit(epochs=1 if small else 3, lr=1e-3)

# %% [markdown]
# ## Lower, write, read
# What cannot be lowered exactly is refused, never approximated. The file carries a certificate: a small recorded
# run that any backend can be held to.

# %%
model.eval()
graph = pumice.lower(model, x_train[:4], input_range=encoder.value_range)
samples = torch_to_lava(x_test.numpy().astype(np.int32))
with tempfile.TemporaryDirectory() as folder:
    path = Path(folder) / "digits.net"
    pumice.save(pumice.certify(graph, to_stream(graph, samples[:2])), path)
    graph = pumice.load(path)
print("verified, integers compared:", pumice.verify(graph, ("reference", "lava")))

# %% [markdown]
# ## Run
# Samples stream back to back: each population is reset in the step in which a new sample reaches it.

# %%
spikes = from_stream(graph, pumice.run(graph, to_stream(graph, samples)).spikes, len(samples))
accuracy = (predict(spikes.sum(1)) == data.test.labels).mean()
print(f"accuracy of the integer network on {len(samples)} held-back digits: {100 * accuracy:.1f} %")

with torch.no_grad():
    deployed = torch_to_lava(model(x_test).numpy())
n_lava = 3 if small else 20
on_lava = from_stream(graph, pumice.run(graph, to_stream(graph, samples[:n_lava]), backend="lava").spikes, n_lava)
print("spikes that differ, torch:", (deployed != spikes).sum(), "Lava:", (on_lava != spikes[:n_lava]).sum())
assert (deployed == spikes).all()
assert (on_lava == spikes[:n_lava]).all()
assert small or accuracy > 0.9

# %% [markdown]
# ## Other learning rules
# How a neuron's gradient is made is an object that it holds: SLAYER's, STBP's or HM2-BP's (`gradient` in its
# parameters); spikes do not depend on it, so that all are lowered alike. The three on the same network, a layer of
# 256 neurons without norm or bias, on N-MNIST's small subset and on spoken digits, two seeds each (lines: the mean,
# bands: both seeds):
#
# `uv run python scripts/compare_rules.py nmnist=DIR fsdd=DIR --seeds 2 --plot tutorials/figures/rules.svg`
#
# ![Accuracy by epoch, CPU time of a step and spikes of a sample, for three rules on two data sets](figures/rules.svg)
#
# The figures, and what they do not say, are in `docs/hm2bp.md`.
