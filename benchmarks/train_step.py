"""A training step (forward and backward) of stock SLAYER, pumice and SpikingJelly on the same work.

    uv run python benchmarks/train_step.py [--rounds 5] [--threads 2] [--only NAME]

Each round runs all three after each other, so that a busy machine slows all of them; ratios are medians of the
rounds' own ratios. Before anything is timed, pumice's spikes must equal SLAYER's at every layer and step, and its
gradients to 1e-5 (norm of the difference over norm). SpikingJelly (0.0.0.0.14, torch backend, multi-step) is timed
where it is installed: it computes another neuron, a LIF without current, rounding and quantised weights, in float.
All of them run as under `pumice train`, with `pumice.train.keep_large_tensors` (unless `--as-is`) and
OMP_WAIT_POLICY=passive, which slows SLAYER and SpikingJelly down where their products are small, as in the conv net;
set OMP_WAIT_POLICY=active before the command to see them at their best.

`deployed` is a step of fine-tuning behind `pumice.quantize_`, through the chip's integers: in compiled loops, and
step by step in torch, which is their definition; beside them the same network's step before. Spikes are equal,
gradients to 1e-5.

`hm2bp` is a step of the learning rule HM2-BP on both networks beside one of SLAYER's rule, whose spikes it shares,
and on the MLP the double sum over pairs of spikes that the paper writes (one sample, compiled, times the batch).

`delays` is the mlp and the conv net with learned delays behind every hidden dense or convolution layer, beside the
same without. `event` is a network with tdBN (`event_network.py`), also in snnTorch; beside them its
convolutions and its matrix product alone, forward and backward.

uv pip install --no-deps --target /some/folder snntorch spikingjelly==0.0.0.0.14 PYTHONPATH=/some/folder
uv run python benchmarks/train_step.py
"""

from __future__ import annotations

import argparse
import copy
import os
import statistics
import time
from collections.abc import Callable
from itertools import pairwise
from typing import Any

os.environ.setdefault("OMP_WAIT_POLICY", "passive")  # read when torch is loaded

import double_sum
import event_network
import torch
from lava.lib.dl.slayer.block import cuba as slayer

from pumice import nn
from pumice.models import feedforward
from pumice.quantization import quantize_
from pumice.train import keep_large_tensors

LIF = {"threshold": 1.25, "current_decay": 0.25, "voltage_decay": 0.03, "tau_grad": 0.03, "scale_grad": 3.0}
ALLOWED = 1e-5
OTHERS = ("deployed", "hm2bp", "delays", "event")


def mlp(blocks: Any) -> torch.nn.Sequential:
    """34*34*2-512-512-10, the network of lava-dl's N-MNIST tutorial."""
    sizes = (34 * 34 * 2, 512, 512, 10)
    layers = [
        blocks.Dense(dict(LIF), n_in, n_out, weight_scale=3, delay_shift=False) for n_in, n_out in pairwise(sizes)
    ]
    return torch.nn.Sequential(*layers)


def conv(blocks: Any) -> torch.nn.Sequential:
    """28x28-12c5-2a-64c5-2a-10o, the network of SLAYER's paper for MNIST."""
    pool = {"weight_scale": 1.1 * LIF["threshold"], "delay_shift": False}
    return torch.nn.Sequential(
        blocks.Conv(dict(LIF), 1, 12, 5, weight_scale=3, delay_shift=False),
        blocks.Pool(dict(LIF), 2, **pool),
        blocks.Conv(dict(LIF), 12, 64, 5, weight_scale=3, delay_shift=False),
        blocks.Pool(dict(LIF), 2, **pool),
        blocks.Flatten(),
        blocks.Dense(dict(LIF), 64 * 16, 10, weight_scale=3, delay_shift=False),
    )


def mlp_input() -> torch.Tensor:
    """One per cent of events."""
    return (torch.rand(32, 34 * 34 * 2, 300) < 0.01).float()


def conv_input() -> torch.Tensor:
    """Ten per cent of spikes."""
    return (torch.rand(16, 1, 28, 28, 50) < 0.1).float()


CASES: dict[str, tuple[Callable[[Any], torch.nn.Sequential], Callable[[], torch.Tensor]]] = {
    "mlp": (mlp, mlp_input),
    "conv": (conv, conv_input),
}


def step(model: torch.nn.Module, x: torch.Tensor, wanted: torch.Tensor) -> None:
    """One forward and backward pass; the loss is the squared error of firing rates, as in lava-dl's tutorials."""
    model.zero_grad()
    torch.nn.functional.mse_loss(model(x).mean(-1), wanted).backward()


def check(ours: torch.nn.Sequential, stock: torch.nn.Sequential, x: torch.Tensor, wanted: torch.Tensor) -> None:
    """Spikes of every layer equal, gradients to `ALLOWED`."""
    a, b = x, x
    for index, (mine, theirs) in enumerate(zip(ours, stock, strict=True)):
        with torch.no_grad():
            a, b = mine(a), theirs(b)
        assert torch.equal(a, b), f"layer {index}: {int((a != b).sum())} spikes differ"
        print(f"  layer {index}: {a[0].numel() // a.shape[-1]} neurons, {float(b.mean()):.2%} spikes, all equal")
    for model in (ours, stock):
        step(model, x, wanted)
    for (name, p), q in zip(ours.named_parameters(), stock.parameters(), strict=True):
        if q.grad is not None and q.grad.any():
            error = float((p.grad - q.grad).norm() / q.grad.norm())
            print(f"  gradient of {name}: {error:.1e}")
            assert error < ALLOWED, f"gradient of {name} differs by {error}"


def jelly(case: str) -> Callable[[torch.Tensor], torch.Tensor] | None:
    """The same network in SpikingJelly, time first; None where it is not installed."""
    try:
        from spikingjelly.activation_based import layer, neuron, surrogate
    except ImportError:
        return None

    def lif() -> Any:
        return neuron.LIFNode(
            tau=1 / LIF["voltage_decay"],
            decay_input=False,
            v_threshold=LIF["threshold"],
            surrogate_function=surrogate.ATan(),
            detach_reset=True,
            step_mode="m",
            backend="torch",
        )

    many = {"step_mode": "m", "bias": False}
    if case == "mlp":
        sizes = (34 * 34 * 2, 512, 512, 10)
        pairs = pairwise(sizes)
        modules = [m for n_in, n_out in pairs for m in (layer.Linear(n_in, n_out, **many), lif())]
    else:
        modules = [
            *(layer.Conv2d(1, 12, 5, **many), lif(), layer.AvgPool2d(2, step_mode="m"), lif()),
            *(layer.Conv2d(12, 64, 5, **many), lif(), layer.AvgPool2d(2, step_mode="m"), lif()),
            *(layer.Flatten(step_mode="m"), layer.Linear(64 * 16, 10, **many), lif()),
        ]
    net = torch.nn.Sequential(*modules)

    def forward_backward(x: torch.Tensor) -> torch.Tensor:
        from spikingjelly.activation_based import functional

        functional.reset_net(net)
        net.zero_grad()
        y: torch.Tensor = net(x)
        y.sum().backward()
        return y

    return forward_backward


def compare(case: str, rounds: int) -> None:
    """Check, then time, one case."""
    make, make_input = CASES[case]
    torch.manual_seed(0)
    x = make_input()
    stock, ours = make(slayer), make(nn)
    ours.load_state_dict(stock.state_dict())
    wanted = torch.full((len(x), 10), 0.03)
    wanted[torch.arange(len(x)), torch.arange(len(x)) % 10] = 0.2
    print(f"{case}: {tuple(x.shape)}, {float(x.mean()):.1%} events")
    check(ours, stock, x, wanted)
    runs: dict[str, Callable[[], Any]] = {
        "slayer": lambda: step(stock, x, wanted),
        "pumice": lambda: step(ours, x, wanted),
    }
    if theirs := jelly(case):
        time_first = x.movedim(-1, 0).contiguous()
        runs["spikingjelly"] = lambda: theirs(time_first)
    else:
        print("  spikingjelly is not installed and not timed (see this file's first lines)")
    race(runs, rounds)
    profile(ours, x, wanted)


def compare_deployed(rounds: int) -> None:
    """Check, then time, a step through the chip's integers."""
    torch.manual_seed(0)
    lif = {"threshold": 1.25, "current_decay": 1.0, "voltage_decay": 0.25, "norm": nn.TDBN}
    x = torch.randint(0, 17, (32, 1, 28, 28, 16)).float()
    before = feedforward(lif, (1, 28, 28), 10, layers="12c5-2a-64c5-2a")
    before(x)
    ours = quantize_(copy.deepcopy(before), x)
    plain = copy.deepcopy(ours)
    for module in plain.modules():
        if isinstance(module, nn.CubaNeuron):
            module._chip_is_fused = lambda _z: False
    wanted = torch.full((len(x), 10), 0.2)
    print(f"deployed: 28x28-12c5-2a-64c5-2a-10o with tdBN, {tuple(x.shape)}")
    check(torch.nn.Sequential(*ours), torch.nn.Sequential(*plain), x, wanted)
    runs = {
        "torch": lambda: step(plain, x, wanted),
        "before": lambda: step(before, x, wanted),
        "pumice": lambda: step(ours, x, wanted),
    }
    race(runs, rounds)
    profile(ours, x, wanted)


def compare_rules(case: str, rounds: int) -> None:
    """Check, then time, HM2-BP beside SLAYER's rule on one network."""
    make, make_input = CASES[case]
    torch.manual_seed(0)
    x = make_input()
    ours = make(nn)
    theirs = nn.set_gradient_(copy.deepcopy(ours), nn.HM2BP())
    wanted = torch.full((len(x), 10), 0.03)
    with torch.no_grad():
        assert torch.equal(ours(x), theirs(x)), "spikes depend on the learning rule"
    print(f"hm2bp on {case}: {tuple(x.shape)}, {float(x.mean()):.1%} events")
    runs: dict[str, Callable[[], Any]] = {
        "hm2bp": lambda: step(theirs, x, wanted),
        "pumice": lambda: step(ours, x, wanted),
    }
    if case == "mlp":
        as_published = nn.HM2BP(least_self_effect=None, largest_self_effect=None)  # the double sum knows no bounds
        double_sum.check(nn.set_gradient_(copy.deepcopy(ours[:1]), as_published)[0], x[:1], ALLOWED)
    race(runs, rounds)
    if case == "mlp":
        spikes = double_sum.forward(theirs, x[:1])
        start = time.perf_counter()
        double_sum.backward(theirs, spikes, spikes[-1].sum(-1) - 5)
        print(f"  double sum   {1000 * len(x) * (time.perf_counter() - start):7.0f} ms, backward pass only")
    profile(theirs, x, wanted)


def compare_delays(case: str, rounds: int) -> None:
    """Time a network with learned delays of up to 20 steps beside the same without."""
    make, make_input = CASES[case]
    torch.manual_seed(0)
    x, plain = make_input(), make(nn)
    late = copy.deepcopy(plain)
    for block in list(late)[:-1]:
        if isinstance(block, nn.Dense | nn.Conv):
            block.delay = nn.Delay(block.synapse.out_channels)
            block.delay.delay.data.mul_(20)
    wanted = torch.full((len(x), 10), 0.03)
    print(f"delays on {case}: {tuple(x.shape)}; the delayed network beside the plain one")
    race({"delayed": lambda: step(late, x, wanted), "pumice": lambda: step(plain, x, wanted)}, rounds)


def compare_event(rounds: int) -> None:
    """Check the neurons, then time an event network with tdBN."""
    torch.manual_seed(0)
    x, ours = event_network.events(), event_network.ours()
    print(f"event: 34x34x2-16c3s2-32c3s2-10o with tdBN, {tuple(x.shape)}, {float(x.mean()):.1%} events")
    event_network.check()
    wanted, time_first = torch.full((len(x), 10), 0.2), x.movedim(-1, 0).contiguous()
    runs: dict[str, Callable[[], Any]] = {"pumice": lambda: step(ours, x, wanted)}
    for name, make in event_network.installed().items():
        model = make()
        forward = event_network.forward_of(name, model)

        def one(model: torch.nn.Module = model, forward: event_network.Forward = forward) -> None:
            model.zero_grad()
            torch.nn.functional.mse_loss(forward(time_first).mean(0), wanted).backward()

        runs[name] = one
    runs["bare convs"] = event_network.bare_convolutions(x)
    race(runs, rounds)


def race(runs: dict[str, Callable[[], Any]], rounds: int) -> None:
    """Time each after the other in every round, and compare with "pumice"."""
    seconds: dict[str, list[float]] = {name: [] for name in runs}
    used: dict[str, list[float]] = {name: [] for name in runs}
    for index in range(rounds + 1):
        for name, run in runs.items():
            start, cpu = time.perf_counter(), time.process_time()
            run()
            if index:  # the first round warms up
                seconds[name].append(time.perf_counter() - start)
                used[name].append(time.process_time() - cpu)
    for name, times in seconds.items():
        ratio = statistics.median(t / p for t, p in zip(times, seconds["pumice"], strict=True))
        fastest = min(times) / min(seconds["pumice"])
        spread = f"{1000 * min(times):.0f} to {1000 * max(times):.0f}"
        of_processor = statistics.median(t / p for t, p in zip(used[name], used["pumice"], strict=True))
        print(
            f"  {name:13}{1000 * statistics.median(times):7.0f} ms ({spread}), {ratio:5.2f} x pumice's time "
            f"({fastest:.2f} of the fastest), "
            f"{of_processor:5.2f} x its processor time ({1000 * statistics.median(used[name]):.0f} ms)"
        )


def profile(model: torch.nn.Module, x: torch.Tensor, wanted: torch.Tensor, steps: int = 3) -> None:
    """Where pumice's time goes."""
    with torch.profiler.profile(activities=[torch.profiler.ProfilerActivity.CPU]) as found:
        for _ in range(steps):
            step(model, x, wanted)
    rows = sorted(found.key_averages(), key=lambda row: -row.self_cpu_time_total)
    total = sum(row.self_cpu_time_total for row in rows)
    print(f"  where pumice's {total / steps / 1000:.0f} ms go (self time, with the profiler's own):")
    for row in rows[:12]:
        print(
            f"    {row.self_cpu_time_total / total:5.1%} {row.self_cpu_time_total / steps / 1000:7.1f} ms  {row.key}"
        )


def main() -> None:
    """Parse the command line and run."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--threads", type=int, default=None, help="CPU threads; as many as torch takes by default")
    parser.add_argument("--only", choices=[*CASES, *OTHERS])
    parser.add_argument("--as-is", action="store_true", help="leave torch's memory as it is: small pages, given back")
    options = parser.parse_args()
    if not options.as_is:
        keep_large_tensors()
    torch.set_num_threads(options.threads or torch.get_num_threads())
    print(f"torch {torch.__version__}, {torch.get_num_threads()} threads, medians of {options.rounds} rounds")
    for case in [options.only] if options.only else [*CASES, *OTHERS]:
        if case == "deployed":
            compare_deployed(options.rounds)
        elif case == "event":
            compare_event(options.rounds)
        elif case == "delays":
            for network in CASES:
                compare_delays(network, options.rounds)
        elif case == "hm2bp":
            for network in CASES:
                compare_rules(network, options.rounds)
        else:
            compare(case, options.rounds)


if __name__ == "__main__":
    main()
