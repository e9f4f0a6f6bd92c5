# %% [markdown]
# # From snnTorch to a `.net` file
#
# A network that was trained in snnTorch becomes a network of `pumice.nn` with the same spikes, then integers, is
# fine-tuned through their rounding, and is verified on Lava's bit-accurate models. The accuracy is printed at each
# stage.
#
# Run this file with `uv run --with snntorch python tutorials/04_from_snntorch.py`.

# %%
import os
import tempfile
from pathlib import Path

import numpy as np
import torch

import pumice
from pumice.data import DirectEncoder, load_digits
from pumice.ir import from_stream, to_stream, torch_to_lava
from pumice.quantization import quantize_
from pumice.train import SpikeCountCrossEntropyLoss, predict

try:
    import snntorch as snn
except ImportError:
    print("This tutorial needs snnTorch: pip install snntorch")
    raise SystemExit from None

small = "PUMICE_TUTORIAL_SMALL" in os.environ  # set in CI
torch.manual_seed(0)
torch.set_num_threads(1)  # fastest for a network this small

# %% [markdown]
# ## Data
# Images of digits, shown unchanged at each of 8 steps, as whole grey levels: what enters the chip is integers.

# %%
data = load_digits().limited(256 if small else None, 40 if small else None)
encoder = DirectEncoder(steps=8, image_range=data.value_range)
x_train, x_test = (
    torch.tensor(encoder.encode(split.images, np.random.default_rng(0)), dtype=torch.float32)
    for split in (data.train, data.test)
)
y_train, y_test = torch.tensor(data.train.labels), np.asarray(data.test.labels)

# %% [markdown]
# ## A network of snnTorch
# Reset to zero is what Loihi 2's neurons do; snnTorch's default, reset by subtraction, would need `approximate=True`
# below, and some training afterwards.


# %%
class Net(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.conv = torch.nn.Conv2d(1, 8, 3, padding=1)
        self.norm = torch.nn.BatchNorm2d(8)
        self.lif1 = snn.Leaky(beta=0.8, reset_mechanism="zero")
        self.fc = torch.nn.Linear(8 * 4 * 4, 10)
        self.lif2 = snn.Leaky(beta=0.9, reset_mechanism="zero", learn_beta=True)

    def forward(self, x):  # (time, batch, channel, height, width)
        mem1, mem2 = self.lif1.reset_mem(), self.lif2.reset_mem()
        spikes = []
        for step in x:
            out, mem1 = self.lif1(self.norm(self.conv(step)), mem1)
            pooled = torch.nn.functional.max_pool2d(out, 2).flatten(1)
            out, mem2 = self.lif2(self.fc(pooled), mem2)
            spikes.append(out)
        return torch.stack(spikes, -1)


def fit(network, epochs, lr, inputs):
    optimizer, loss_of = torch.optim.AdamW(network.parameters(), lr), SpikeCountCrossEntropyLoss()
    network.train()
    for _ in range(epochs):
        for batch in torch.randperm(len(y_train)).split(64):
            loss = loss_of(network(inputs(x_train[batch])), y_train[batch])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
    network.eval()


def report(stage, spikes):
    accuracy = float((predict(np.asarray(spikes).sum(-1)) == y_test).mean())
    print(f"{stage}: {100 * accuracy:.1f} % of {len(y_test)} held-back digits")
    return accuracy


def steps_first(x):
    return x.movedim(-1, 0)


theirs = Net()
fit(theirs, 3 if small else 15, 5e-3, steps_first)
with torch.no_grad():
    their_spikes = theirs(steps_first(x_test))
report("snnTorch", their_spikes)

# %% [markdown]
# ## The same network here
# The example is what the module's forward takes. The report says what was read, and how many spikes differ.

# %%
model = pumice.from_snntorch(theirs, steps_first(x_test[:16]))
print(model.report)
with torch.no_grad():
    our_spikes = model(x_test)
report("pumice, floating point", our_spikes)
differ = int((our_spikes != their_spikes).sum())
print("spikes that differ from snnTorch's:", differ, "of", our_spikes.numel())
assert differ <= our_spikes.numel() / 1000  # voltages at their threshold, but for the order of sums

# %% [markdown]
# ## Integers
# Weights get 8 bits, decays 12. A few epochs through the rounding win back what that costs.

# %%
quantize_(model, x_train[:4], input_range=encoder.value_range)
with torch.no_grad():
    report("quantized", model(x_test))
fit(model, 1 if small else 3, 1e-4, lambda x: x)
with torch.no_grad():
    deployed = model(x_test)
fine_tuned = report("fine-tuned", deployed)

# %% [markdown]
# ## A file, verified on Lava

# %%
graph = pumice.lower(model, x_train[:4], input_range=encoder.value_range)
samples = torch_to_lava(x_test.numpy().astype(np.int32))
with tempfile.TemporaryDirectory() as folder:
    path = Path(folder) / "digits.net"
    pumice.save(pumice.certify(graph, to_stream(graph, samples[:2])), path)
    graph = pumice.load(path)
print("verified, integers compared:", pumice.verify(graph, ("reference", "lava")))
spikes = from_stream(graph, pumice.run(graph, to_stream(graph, samples)).spikes, len(samples))
report("the file", np.moveaxis(spikes, 1, -1))
assert (torch_to_lava(deployed.numpy()) == spikes).all()
assert small or fine_tuned > 0.9
