"""Two processes that share each batch train the network that one process trains, up to rounding."""

import json
import subprocess
import sys

import pytest
import torch

from pumice.data import load_digits
from pumice.errors import InputError
from pumice.train import PRESETS, load_checkpoint, train

# float32 sums are taken in another order; no spike flips over these few steps, and weights differ by 1e-8.
TOLERANCE = 1e-5
SETTINGS = [
    "data.max_train=96",
    "data.max_test=21",
    "data.steps=4",
    "data.validation=0.2",
    'data.augment={"RandomCrop": {"size": 8, "padding": 1}}',
    "network.args.channels=[4]",
    "network.args.strides=[2]",
    "training.epochs=2",
    "training.finetune_epochs=1",
    "training.batch_size=25",  # 19 samples a batch: one process has 10, the other 9
    "training.accumulate=2",
    "training.clip_norm=1.0",
    "training.lr=1e-3",
    "training.sample_boosting=0.5",
    'training.regularizers={"synaptic_events": {}}',
]
SCRIPT = """
import json, sys
from pumice.data import load_digits
from pumice.train import PRESETS, load_checkpoint, loop, train
path, settings, defect = sys.argv[1], json.loads(sys.argv[2]), sys.argv[3]
if defect == "own statistics":
    loop.synchronize_norms_ = lambda model: None
recipe = PRESETS["digits"].overridden(settings)
train(recipe, load_digits(), checkpoint_path=path)
"""


NORMS = """
import pytest
import torch
from torch import distributed
from pumice import nn
from pumice.errors import InputError
from pumice.nn import synchronize_norms_

class Own(nn.TDBN):
    pass

distributed.init_process_group("gloo")
rank = distributed.get_rank()
x = torch.randn(5, 3, 2, 2, generator=torch.Generator().manual_seed(0)) + 1
weights = torch.randn(x.shape, generator=torch.Generator().manual_seed(1))
share = slice(rank, None, 2)


def are_those_of_one():
    equal = True
    for make in (nn.TDBN, lambda *a, **k: nn.TDBN(*a, **k, unbiased=True), nn.BiasFreeNorm):
        found = []
        for part, synchronised in ((slice(None), False), (share, True)):
            norm = make(3, threshold=0.5)
            if synchronised:
                synchronize_norms_(norm)
            values = x[part].clone().requires_grad_()
            y = norm(values)
            (y * weights[part]).sum().backward()
            gradients = torch.cat([p.grad for p in norm.parameters()])
            if synchronised:
                distributed.all_reduce(gradients)
            found.append((y, values.grad, gradients, norm.running_mean, norm.running_var))
        (y, g, *whole), (my_y, my_g, *mine) = found
        for a, b in zip((y[share], g[share], *whole), (my_y, my_g, *mine), strict=True):
            equal &= torch.allclose(a, b, rtol=1e-5, atol=1e-6)
    return equal  # not raised: both processes must take part in all of it


assert are_those_of_one()
with pytest.MonkeyPatch.context() as patch:
    right = nn.TDBN._by_sums

    def biased(self, x, own, *, shared):
        with pytest.MonkeyPatch.context() as inner:
            inner.setattr(self, "unbiased", False)
            return right(self, x, own, shared=shared)

    patch.setattr(nn.TDBN, "_by_sums", biased)
    assert not are_those_of_one(), "unbiased"
with pytest.MonkeyPatch.context() as patch:
    patch.setattr(nn.BiasFreeNorm, "synchronized", property(lambda self: False, lambda self, value: None))
    assert not are_those_of_one(), "bias-free"
try:
    synchronize_norms_(torch.nn.Sequential(Own(3)))
    raise SystemExit("a norm of the user's own was not refused")
except InputError as error:
    assert "the norm '0' is a Own" in str(error), error
"""


LOOP = """
import copy, sys
import torch
from torch import distributed
from torch.nn.parallel import DistributedDataParallel
from pumice import nn

distributed.init_process_group("gloo")
rank, defect = distributed.get_rank(), sys.argv[1]
lif = {"threshold": 0.25, "current_decay": 0.5, "voltage_decay": 0.25}
tdbn = {**lif, "current_decay": 1.0, "norm": nn.TDBN}
torch.manual_seed(0)
for name, model in {
    "recurrent": torch.nn.Sequential(nn.Recurrent(lif, 20, 16, weight_scale=2), nn.Dense(lif, 16, 5, weight_scale=2)),
    "delays": torch.nn.Sequential(nn.Dense(lif, 20, 16, weight_scale=2, delay=True), nn.Dense(lif, 16, 5)),
    "norms": torch.nn.Sequential(nn.Dense(tdbn, 20, 16), nn.LeakyReadout(16, 5)),
}.items():
    alone = copy.deepcopy(model)
    shared = DistributedDataParallel(model)  # torch's defaults
    if name == "norms" and defect != "norms apart":
        nn.synchronize_norms_(model)
    optimizers = [torch.optim.SGD(net.parameters(), lr=0.1) for net in (shared, alone)]
    generator = torch.Generator().manual_seed(1)
    for size in (8, 7, 8):
        x, y = torch.randint(0, 3, (size, 20, 6), generator=generator).float(), torch.arange(size) % 5
        mine = slice(rank, None, 2)
        for optimizer, net, part, by in zip(optimizers, (shared, alone), (mine, slice(None)), (2, 1)):
            optimizer.zero_grad()
            answer = net(x[part]).sum(-1)
            (torch.nn.functional.cross_entropy(answer, y[part], reduction="sum") * by / size).backward()
            optimizer.step()
    for one, other in zip(model.parameters(), alone.parameters()):
        ranks = [torch.zeros_like(one) for _ in range(2)]
        distributed.all_gather(ranks, one.detach().contiguous())
        assert torch.equal(*ranks), (name, "the processes differ")
        assert (one - other).abs().max() < 1e-4, (name, "not what one process gives")
"""


def launch_two(script, *arguments):
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2", str(script)]
    return subprocess.run([*command, *arguments], capture_output=True, text=True, check=False, timeout=300)


def train_with_two(path, defect="none", settings=SETTINGS):
    script = path.parent / "train_two.py"
    script.write_text(SCRIPT)
    done = launch_two(script, str(path), json.dumps([*settings, "compute.devices=2"]), defect)
    assert done.returncode == 0, done.stderr
    return load_checkpoint(path)


def largest_difference(a, b):
    assert a.model_state.keys() == b.model_state.keys()
    return max(float((a.model_state[k].double() - b.model_state[k].double()).abs().max()) for k in a.model_state)


@pytest.fixture(scope="module")
def one(tmp_path_factory):
    path = tmp_path_factory.mktemp("one") / "checkpoint.pt"
    train(PRESETS["digits"].overridden(SETTINGS), load_digits(), checkpoint_path=path)
    return load_checkpoint(path)


def test_two_processes_give_the_network_of_one(one, tmp_path):
    two = train_with_two(tmp_path / "checkpoint.pt")
    assert largest_difference(one, two) < TOLERANCE
    for mine, theirs in zip(one.history, two.history, strict=True):
        assert (mine.train_accuracy, mine.test_accuracy) == (theirs.train_accuracy, theirs.test_accuracy)
        assert mine.loss == pytest.approx(theirs.loss, rel=TOLERANCE)
        assert mine.firing_rates == pytest.approx(theirs.firing_rates, rel=TOLERANCE)
    assert (one.position.samples.weights > 1).any()
    assert torch.equal(one.position.samples.weights, two.position.samples.weights)
    log = (tmp_path / "steps.csv").read_text().splitlines()
    assert len(log) == 1 + two.position.steps  # written by one process


@pytest.mark.slow  # the planted defect of the test above
def test_statistics_of_each_process_alone_would_be_seen(one, tmp_path):
    two = train_with_two(tmp_path / "checkpoint.pt", defect="own statistics")
    assert largest_difference(one, two) > 10 * TOLERANCE


def test_the_processes_must_be_those_of_the_recipe():
    recipe = PRESETS["digits"].overridden([*SETTINGS, "compute.devices=2"])
    with pytest.raises(InputError, match=r"compute\.devices=2, but 1 process\(es\) were started.*torchrun"):
        train(recipe, load_digits())


def test_norms_of_two_processes_are_those_of_one(tmp_path):
    """TDBN with both variances and the bias-free norm: values, gradients and running estimates; and two defects."""
    script = tmp_path / "norms.py"
    script.write_text(NORMS)
    done = launch_two(script)
    assert done.returncode == 0, done.stderr


MIXER = [
    *SETTINGS[:4],
    "network.name=stmixer",
    'network.args={"embed_dim": 16, "depth": 2, "heads": 2, "bias": false, "short_path": false, "surrogates": true}',
    "neuron.threshold=1.0",
    "neuron.voltage_decay=0.5",
    "training.epochs=2",
    "training.finetune_epochs=1",
    "training.batch_size=25",
    "training.lr=1e-4",
    "training.loss=surrogate_module",
]


@pytest.mark.slow
def test_a_mixer_with_surrogate_modules_is_shared_too(tmp_path):
    """Surrogate modules answer in each process, and stand aside while the integers are fine-tuned."""
    path = tmp_path / "one.pt"
    train(PRESETS["digits"].overridden(MIXER), load_digits(), checkpoint_path=path)
    one, two = load_checkpoint(path), train_with_two(tmp_path / "two.pt", settings=MIXER)
    assert two.history[0].loss == pytest.approx(one.history[0].loss, rel=1e-3)
    assert two.is_deployed


def test_a_loop_of_ones_own_with_torchs_defaults(tmp_path):
    """Buffers are sent from process to process in each step: none may hold what belongs to a batch."""
    script = tmp_path / "loop.py"
    script.write_text(LOOP)
    done = launch_two(script, "none")
    assert done.returncode == 0, done.stderr


@pytest.mark.slow  # the planted defect of the test above
def test_norms_of_each_process_alone_would_be_seen(tmp_path):
    script = tmp_path / "loop.py"
    script.write_text(LOOP)
    done = launch_two(script, "norms apart")
    assert done.returncode != 0
    assert "not what one process gives" in done.stderr
