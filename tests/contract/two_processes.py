"""What `test_ddp.py` has two processes do, one thing after the other: what they import is imported once.

Called by torchrun with a list of [name, defect, argument ...]; prints the names of what went well.
"""

import copy
import json
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from torch import distributed
from torch.nn.parallel import DistributedDataParallel

from pumice import nn
from pumice.data import load_digits
from pumice.errors import InputError
from pumice.nn import synchronize_norms_
from pumice.train import PRESETS, load_checkpoint, loop, train


class Own(nn.TDBN):
    """A norm of the user's own."""


def train_network(defect, path, settings):
    with pytest.MonkeyPatch.context() as patch:
        if defect == "own statistics":
            patch.setattr(loop, "synchronize_norms_", lambda model: None)
        train(PRESETS["digits"].overridden(settings), load_digits(), checkpoint_path=Path(path))


class StopError(Exception):
    pass


def stop_and_resume(_defect, path, settings):
    batches = []

    def stop():
        batches.append(None)
        if len(batches) == 3:
            raise StopError

    recipe = PRESETS["digits"].overridden([*settings, "training.checkpoint_every_steps=1"])
    with pytest.raises(StopError):
        train(recipe, load_digits(), checkpoint_path=Path(path), on_batch=stop)
    distributed.barrier()  # the first process has written it
    checkpoint = load_checkpoint(path)
    assert checkpoint.position.batches == 2
    train(recipe, load_digits(), checkpoint_path=Path(path), resume_from=checkpoint)


def begin_unlike(_defect, path, settings):
    """Another recipe, other data, or another checkpoint: as of a folder that only one machine sees."""
    rank = distributed.get_rank()
    for change in (f"training.lr=0.0{1 + rank}", f"data.max_train={96 - rank}"):
        with pytest.raises(InputError, match="the process of rank 1 begins with another recipe, other data or"):
            train(PRESETS["digits"].overridden([*settings, change]), load_digits(), checkpoint_path=Path(path))
    distributed.barrier()
    recipe = PRESETS["digits"].overridden([*settings, "training.finetune_epochs=2"])
    before = None if rank else load_checkpoint(Path(path).with_name("finished.pt"))
    with pytest.raises(InputError, match="or another checkpoint than that of rank 0"):
        train(recipe, load_digits(), resume_from=before, extend=before is not None)
    assert not Path(path).exists()


def are_those_of_one():
    x = torch.randn(5, 3, 2, 2, generator=torch.Generator().manual_seed(0)) + 1
    weights = torch.randn(x.shape, generator=torch.Generator().manual_seed(1))
    share = slice(distributed.get_rank(), None, 2)
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


def compare_norms(defect):
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
    with pytest.raises(InputError, match="the norm '0' is a Own"):
        synchronize_norms_(torch.nn.Sequential(Own(3)))


def own_loop(defect):
    lif = {"threshold": 0.25, "current_decay": 0.5, "voltage_decay": 0.25}
    tdbn = {**lif, "current_decay": 1.0, "norm": nn.TDBN}
    torch.manual_seed(0)
    for name, model in {
        "recurrent": torch.nn.Sequential(
            nn.Recurrent(lif, 20, 16, weight_scale=2), nn.Dense(lif, 16, 5, weight_scale=2)
        ),
        "delays": torch.nn.Sequential(nn.Dense(lif, 20, 16, weight_scale=2, delay=True), nn.Dense(lif, 16, 5)),
        "norms": torch.nn.Sequential(nn.Dense(tdbn, 20, 16), nn.LeakyReadout(16, 5)),
    }.items():
        alone = copy.deepcopy(model)
        shared = DistributedDataParallel(model)  # torch's defaults
        if name == "norms" and defect != "norms apart":
            synchronize_norms_(model)
        train_both(shared, alone)
        for one, other in zip(model.parameters(), alone.parameters(), strict=True):
            ranks = [torch.zeros_like(one) for _ in range(2)]
            distributed.all_gather(ranks, one.detach().contiguous())
            assert torch.equal(*ranks), (name, "the processes differ")
            assert (one - other).abs().max() < 1e-4, (name, "not what one process gives")


def train_both(shared, alone):
    optimizers = [torch.optim.SGD(net.parameters(), lr=0.1) for net in (shared, alone)]
    generator = torch.Generator().manual_seed(1)
    mine = slice(distributed.get_rank(), None, 2)
    for size in (8, 7, 8):
        x, y = torch.randint(0, 3, (size, 20, 6), generator=generator).float(), torch.arange(size) % 5
        for optimizer, net, part, by in zip(optimizers, (shared, alone), (mine, slice(None)), (2, 1), strict=True):
            optimizer.zero_grad()
            answer = net(x[part]).sum(-1)
            (torch.nn.functional.cross_entropy(answer, y[part], reduction="sum") * by / size).backward()
            optimizer.step()


TASKS: dict[str, Callable[..., None]] = {
    "train": train_network,
    "resume": stop_and_resume,
    "unlike": begin_unlike,
    "norms": compare_norms,
    "loop": own_loop,
}

if __name__ == "__main__":
    distributed.init_process_group("gloo")
    for task, *arguments in json.loads(sys.argv[1]):
        TASKS[task](*arguments)
        print(f"done: {task}", flush=True)
