"""`gpu.py`, stage `steps`: a training step of pumice and others on the same network."""

from __future__ import annotations

import argparse
import statistics
from collections.abc import Callable
from typing import Any

import torch
from gpu_timing import median_ms

from pumice import nn
from pumice.models import resnet, stmixer
from pumice.quantization import quantize_
from pumice.train.runtime.precision import neurons_in_float32

BATCH = 256
LIF = {"threshold": 0.5, "current_decay": 1.0, "voltage_decay": 0.75, "surrogate": "rectangular", "norm": nn.TDBN}


def steps(args: argparse.Namespace, device: torch.device) -> None:
    """Milliseconds of a training step."""
    size, width, batch = (8, 1 / 16, 4) if args.toy else (32, 1.0, args.batch or BATCH)
    shape, n_steps = (3, size, size), 2
    images = torch.randint(0, 33, (batch, *shape), device=device).float()
    labels = torch.randint(0, 10, (batch,), device=device)
    few = samples_of("integers", batch)
    made: dict[str, Callable[[], Callable[[], None]]] = {
        "pumice": lambda: ours(shape, width, images, labels, n_steps),
        "SpikingJelly": lambda: jelly(shape, width, images, labels, n_steps),
        "integers": lambda: deployed(shape, width, images[:few], labels[:few], n_steps),
        "SLAYER": lambda: slayer(shape, width, images, labels, n_steps),
        "STMixer T=1": lambda: mixer(shape, width, images, labels, 1),
        "STMixer T=4": lambda: mixer(shape, width, images, labels, 4),
    }
    chosen = args.systems.split(",") if args.systems else [*made]
    if unknown := {*chosen} - {*made}:
        raise SystemExit(f"--systems: there is no {', '.join(sorted(unknown))}; there are: {', '.join(made)}")
    made = {name: made[name] for name in chosen}
    ready: dict[str, Callable[[], None]] = {}
    for name, make in made.items():
        try:
            ready[name] = make()
            ready[name]()
        except (ImportError, OSError, RuntimeError, AttributeError, TypeError, NotImplementedError) as error:
            print(f"{name}: not measured ({type(error).__name__}: {str(error).partition(chr(10))[0][:200]})")
            ready.pop(name, None)
        if device.type == "cuda":
            most = torch.cuda.max_memory_allocated() / samples_of(name, batch) / 2**20
            print(f"{name}: {most:.1f} MiB per sample, with what those before keep")
            torch.cuda.reset_peak_memory_stats()
    if args.profile and "pumice" in ready:
        profile(ready["pumice"], device)
    rounds: dict[str, list[float]] = {name: [] for name in ready}
    for _ in range(3):
        for name, call in ready.items():
            rounds[name].append(median_ms(call, device, repeats=2 if args.toy else 10))
    for name, times in rounds.items():
        ms = statistics.median(times)
        size = samples_of(name, batch)
        print(f"{name:18} {ms:8.1f} ms a step of {size} samples, {1000 * size / ms:8.0f} samples/s", end="")
        ratios = [b / a for a, b in zip(rounds.get("pumice", times), times, strict=True)]
        is_same = "pumice" in rounds and not name.startswith("STMixer")
        print(f", {statistics.median(ratios):.2f} times pumice's" if is_same else "")


def samples_of(system: str, batch: int) -> int:
    """How many samples a system's step has: through the integers an eighth of a batch, for their memory."""
    return max(1, batch // 8) if system == "integers" else batch


def stepper(model: torch.nn.Module, forward: Callable[[], torch.Tensor], labels: torch.Tensor) -> Callable[[], None]:
    """Forward and backward pass and the optimiser's step, with bfloat16 products."""
    optimizer = torch.optim.SGD(model.parameters(), lr=1e-3, momentum=0.9)
    torch.backends.cudnn.benchmark = labels.is_cuda

    def call() -> None:
        with torch.autocast(labels.device.type, torch.bfloat16):
            loss = torch.nn.functional.cross_entropy(forward().float(), labels)
        loss.backward()
        optimizer.step()
        optimizer.zero_grad()

    return call


def ours(shape: Any, width: float, images: Any, labels: Any, n_steps: int) -> Callable[[], None]:
    """pumice's."""
    model = resnet(LIF, shape, 10, layers="19", width=width).to(images.device)
    x = images[..., None].expand(*images.shape, n_steps)
    return stepper(model, lambda: model(x).mean(-1), labels)


def mixer(shape: Any, width: float, images: Any, labels: Any, n_steps: int) -> Callable[[], None]:
    """pumice's Spiking Token Mixer 4-256-16."""
    lif = {"threshold": 1.0, "current_decay": 1.0, "voltage_decay": 0.5, "surrogate": "dspike"}
    model = stmixer(lif, shape, 10, embed_dim=round(256 * width), depth=4, heads=16).to(images.device)
    x = images[..., None].expand(*images.shape, n_steps)

    def forward() -> torch.Tensor:
        with neurons_in_float32(model):  # as `train` does it; the token mixing has no norm that would widen
            answer: torch.Tensor = model(x)
        return answer.mean(-1)

    return stepper(model, forward, labels)


def deployed(shape: Any, width: float, images: Any, labels: Any, n_steps: int) -> Callable[[], None]:
    """pumice's through the chip's integers, as it is fine-tuned."""
    model, x = resnet(LIF, shape, 10, layers="19", width=width), images[..., None].expand(*images.shape, n_steps)
    model.to(images.device)(x)
    quantize_(model.cpu().eval(), x[:2].cpu(), input_range=(0, 32))
    model.to(images.device).train()
    return stepper(model, lambda: model(x).mean(-1), labels)


def jelly(shape: Any, width: float, images: Any, labels: Any, n_steps: int) -> Callable[[], None]:
    """SpikingJelly's layers in the same arrangement, multi-step; version 2 chooses its LIF's backend by itself."""
    from spikingjelly.activation_based import functional, layer, neuron, surrogate

    def lif() -> Any:
        return neuron.LIFNode(
            tau=4.0 / 3.0,
            decay_input=False,
            v_threshold=0.5,
            v_reset=0.0,
            surrogate_function=surrogate.Sigmoid(),
            step_mode="m",
        )

    class Block(torch.nn.Module):
        def __init__(self, n_in: int, n_out: int, stride: int) -> None:
            super().__init__()
            conv = lambda a, b, k, s: torch.nn.Sequential(  # noqa: E731
                layer.Conv2d(a, b, k, s, k // 2, bias=False, step_mode="m"), layer.BatchNorm2d(b, step_mode="m")
            )
            self.first, self.one = conv(n_in, n_out, 3, stride), lif()
            self.second, self.two = conv(n_out, n_out, 3, 1), lif()
            plain = stride == 1 and n_in == n_out
            self.shortcut = layer.BatchNorm2d(n_out, step_mode="m") if plain else conv(n_in, n_out, 1, stride)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return self.two(self.second(self.one(self.first(x))) + self.shortcut(x))

    class Net(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            c = [max(1, round(width * n)) for n in (128, 256, 512)]
            body: list[torch.nn.Module] = [
                layer.Conv2d(shape[0], c[0], 3, 1, 1, bias=False, step_mode="m"),
                layer.BatchNorm2d(c[0], step_mode="m"),
                lif(),
            ]
            n_in = c[0]
            for stage, (count, n_out) in enumerate(zip((3, 3, 2), c, strict=True)):
                for index in range(count):
                    body.append(Block(n_in, n_out, 2 if stage and not index else 1))
                    n_in = n_out
            self.body = torch.nn.Sequential(*body)
            hidden = max(1, round(width * 256))
            self.hidden, self.fire = layer.Linear(n_in, hidden, step_mode="m"), lif()
            self.output, self.last = layer.Linear(hidden, 10, step_mode="m"), lif()

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return self.last(self.output(self.fire(self.hidden(self.body(x).mean((-1, -2))))))

    x = images.expand(n_steps, *images.shape)
    net = Net().to(images.device)

    def forward() -> torch.Tensor:
        functional.reset_net(net)
        return net(x).mean(0)

    return stepper(net, forward, labels)


def slayer(shape: Any, width: float, images: Any, labels: Any, n_steps: int) -> Callable[[], None]:
    """lava-dl's own blocks: one stage of the network's convolutions, since it has no sum of currents."""
    from lava.lib.dl.slayer.block import cuba

    c = [max(1, round(width * n)) for n in (128, 256, 512)]
    params = {"threshold": 0.5, "current_decay": 1.0, "voltage_decay": 0.75}
    sizes = [(shape[0], c[0], 1), *[(c[0], c[0], 1)] * 6, (c[0], c[1], 2), *[(c[1], c[1], 1)] * 5]
    sizes += [(c[1], c[2], 2), *[(c[2], c[2], 1)] * 3]
    convs = [cuba.Conv(dict(params), a, b, 3, stride=s, padding=1) for a, b, s in sizes]
    side = shape[1] // 4
    net = torch.nn.Sequential(*convs, cuba.Flatten(), cuba.Dense(dict(params), c[2] * side * side, 10)).to(
        images.device
    )
    x = images[..., None].expand(*images.shape, n_steps).contiguous()
    return stepper(net, lambda: net(x).mean(-1), labels)


def profile(call: Callable[[], None], device: torch.device) -> None:
    """The operators that cost most, on the GPU and on the CPU that feeds it."""
    activities = [torch.profiler.ProfilerActivity.CPU]
    if device.type == "cuda":
        activities.append(torch.profiler.ProfilerActivity.CUDA)
    call()
    with torch.profiler.profile(activities=activities) as found:
        for _ in range(3):
            call()
        if device.type == "cuda":
            torch.cuda.synchronize()
    for key in ("self_cuda_time_total", "self_cpu_time_total"):
        table = found.key_averages().table(sort_by=key, row_limit=18, max_name_column_width=48)
        print("\n".join(line[:200] for line in table.splitlines()))
