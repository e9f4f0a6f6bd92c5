"""All that a GPU is needed for, in one command: kernels against their limit, training steps, and a training.

    python benchmarks/gpu.py --data-root DIR -o OUT [--minutes 9] [--only kernels|steps|train] [--recipe NAME]
    python benchmarks/gpu.py --toy      # everything at a size for two CPU cores, in under a minute

1. `kernels`: each Triton kernel against the CPU's definition on random numbers, then its bytes per second against a
   copy's.
2. `steps`: forward and backward pass and SGD's step of ResNet-19 (tdBN, T = 2), bfloat16 products, pumice beside
   SpikingJelly 2, where it imports, beside a chain of the same convolutions of lava-dl's own
   blocks (which have no residual sum), and pumice through the chip's integers; and a Spiking Token Mixer of 4 blocks,
   256 channels and 16 heads, T = 1 and T = 4, without surrogate modules.
3. `train`: a preset, `cifar10-resnet19` if no other is named, for the time that is left, with as many epochs as fit.
   Weights and statistics are written to OUT as float32 in parts of at most 15 MB, also while it trains; `--join OUT`
   makes one file of them.

It needs lava-dl, lava-nc (their Python files), pydantic and Lightning Fabric beside what an image with PyTorch,
Triton, NumPy, numba, h5py and torchvision has. Where no GPU is, kernels are skipped and the table says so.
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch

from pumice import nn
from pumice.data import Dataset, ImageDataset, Split, load_dataset
from pumice.data.recipe import prepare_data
from pumice.errors import InputError
from pumice.models import resnet, stmixer
from pumice.nn.kernels import operators
from pumice.nn.neurons.psp import Membrane, credit
from pumice.nn.surrogate import Rectangular
from pumice.quantization import quantize_
from pumice.train import Recipe, train
from pumice.train.build import build_network
from pumice.train.recipe.presets import find_recipe
from pumice.train.runtime.precision import neurons_in_float32

BATCH = 256
PART_BYTES, HEADER_BYTES = 15_000_000, 128  # of a file, and of what NumPy writes before an array of one axis
TOY_SIZES: dict[str, dict[str, Any]] = {"resnet": {"width": 1 / 16}, "stmixer": {"embed_dim": 16, "heads": 2}}
LIF = {"threshold": 0.5, "current_decay": 1.0, "voltage_decay": 0.75, "surrogate": "rectangular", "norm": nn.TDBN}
START = time.perf_counter()


def main() -> None:
    """Run what is asked for."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data-root", type=Path)
    parser.add_argument("-o", "--out", type=Path, default=Path("runs/gpu"))
    parser.add_argument("--minutes", type=float, default=9.0)
    parser.add_argument("--only", choices=("kernels", "steps", "train"))
    parser.add_argument("--recipe", default="cifar10-resnet19", help="a preset or a file, of the stage `train`")
    parser.add_argument("--batch", type=int, help="256 if not given; of the stage `train`, what the recipe says")
    parser.add_argument("--systems", default="", help="of the stage `steps`, as names with commas; all if not given")
    parser.add_argument("--finetune-epochs", type=int, default=0)
    parser.add_argument("--set", action="append", default=[], help="section.key=value of the recipe, in JSON")
    parser.add_argument("--toy", action="store_true")
    parser.add_argument("--profile", action="store_true", help="print where a training step's time goes")
    parser.add_argument("--join", type=Path)
    args = parser.parse_args()
    if args.join:
        print(join(args.join))
        return
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    print(
        f"{device_name(device)}, torch {torch.__version__}, numpy {np.__version__}, Python {sys.version.split()[0]}"
    )
    args.out.mkdir(parents=True, exist_ok=True)
    stages: dict[str, Callable[..., None]] = {"kernels": kernels, "steps": steps, "train": training}
    for name, stage in stages.items():
        if args.only in {None, name}:
            print(f"\n{name} ({time.perf_counter() - START:.0f} s after the start)", flush=True)
            try:
                stage(args, device)
            except InputError as error:  # as of a recipe that there is not
                raise SystemExit(f"{name}: {error}") from error


def device_name(device: torch.device) -> str:
    """What it runs on."""
    return torch.cuda.get_device_name() if device.type == "cuda" else "no GPU: CPU"


# 1. kernels


def kernels(args: argparse.Namespace, device: torch.device) -> None:
    """Equality with the CPU's loops, then bandwidth."""
    if device.type != "cuda":
        print("not measured: no GPU (the interpreter's tests are tests/unit/nn/kernels/test_cuda.py)")
        return
    check_kernels(device)
    check_credit(device)
    check_graphs()
    n, channels, steps = (args.batch or BATCH) * 32 * 32, 128, 2
    shape = steps, n, channels
    x = torch.randn(shape, device=device)
    half, out, spikes = x.bfloat16(), torch.empty_like(x), torch.empty(shape, device=device, dtype=torch.bfloat16)
    size = x.numel()
    copy = median_ms(lambda: out.copy_(x), device)
    limit = 8 * size / copy / 1e6
    print(f"copy of {size / 1e6:.0f} million float32: {copy:.2f} ms, {limit:.0f} GB/s read and written")
    row, pair = torch.rand(channels, device=device), torch.empty(2, channels, device=device)
    stats = torch.empty(5, channels, device=device, dtype=torch.float64)
    flat, flat_out, flat_spikes = (t.view(steps, -1) for t in (x, out, spikes))
    none = torch.empty(0, dtype=torch.int64, device=device)
    keep, rest = torch.tensor([1024], device=device), torch.zeros(n * channels, device=device)
    tau = torch.tensor([0.25], device=device, dtype=torch.float64)
    kernel = Rectangular().kernel()
    u, numbers = x.new_empty(0, 0), (4096.0, 0.5, 2048.0, False)
    timed: dict[str, tuple[int, Callable[[], None]]] = {
        "norm: forward (bf16 to f32)": (
            8,
            lambda: operators.normalize_forward(half, row, row, 1e-5, False, out, stats),
        ),
        "neuron: forward (bf16 spikes)": (
            10,
            lambda: operators.cuba_forward(flat, none, keep, rest, rest, *numbers, u, flat_out, flat_spikes),
        ),
        "neuron: STBP backward": (
            10,
            lambda: operators.stbp_backward_of(spikes, x, tau, 0.5, 1.0, *kernel, False, out),
        ),
        "norm: backward (f32 to bf16)": (
            14,
            lambda: operators.normalize_backward(half, x, stats, False, spikes, pair),
        ),
    }
    print(f"{'kernel':32} {'ms':>7} {'GB/s':>7} {'of a copy':>9}")
    for name, (moved, call) in timed.items():
        ms = median_ms(call, device)
        rate = moved * size / ms / 1e6
        print(f"{name:32} {ms:7.2f} {rate:7.0f} {rate / limit:9.0%}")


def check_kernels(device: torch.device) -> None:
    """A block's spikes, gradients and statistics on the GPU are those of the CPU."""
    torch.manual_seed(0)
    worst, differing = 0.0, 0
    for surrogate in ("rectangular", "triangle", "arctan", "fast_sigmoid", "dspike", "exponential"):
        for gradient in ("stbp", "stbp-detached", "slayer"):
            lif = {**LIF, "surrogate": surrogate, "gradient": gradient}
            lif["current_decay"] = 0.5 if gradient == "slayer" else 1.0
            norm = lif.pop("norm")
            block = nn.Merge(lif, nn.IdentitySynapse(19, norm=norm))
            x, g = 3 * torch.randn(8, 19, 5, 5, 7), torch.randn(8, 19, 5, 5, 7)
            seen = []
            for where in (torch.device("cpu"), device):
                block = block.to(where)
                block.zero_grad()
                inside = x.clone().to(where).detach().requires_grad_()
                y = block(inside)
                y.backward(g.to(where))
                found = y, inside.grad, block.synapses[0].norm.scale.grad
                seen.append([tensor.detach().cpu().clone() for tensor in found])
            same = float((seen[0][0] == seen[1][0]).float().mean())
            errors = [float((b - a).norm() / a.norm()) for a, b in zip(seen[0][1:], seen[1][1:], strict=True)]
            worst = max(worst, *errors)
            if same < 0.9999 or max(errors) > 1e-2:  # a sum in another order can move a voltage over the threshold
                differing += 1
                print(f"DIFFERS: {surrogate}, {gradient}: {same:.6f} of the spikes equal, gradients {errors}")
    if differing:
        raise SystemExit(f"{differing} of 18 blocks differ from the CPU's")
    print(f"18 blocks beside the CPU's: spikes equal but for sums in another order, gradients to {worst:.0e}")


def check_credit(device: torch.device) -> None:
    """HM2-BP's credit of spikes on the GPU is the CPU's."""
    torch.manual_seed(0)
    spikes, (gradient, current) = (torch.rand(20, 3000) < 0.2).float(), torch.randn(2, 20, 3000)
    ours, theirs = (
        credit(spikes.to(d), gradient.to(d), current.to(d), Membrane(0.875, 0.98)) for d in ("cpu", device)
    )
    for name in ("per_step", "count", "error", "potential"):
        torch.testing.assert_close(getattr(theirs, name).cpu(), getattr(ours, name), rtol=1e-5, atol=1e-4)
    print("HM2-BP's credit equals the CPU's")


def check_graphs() -> None:
    """Replayed passes train as those that run one by one."""
    losses = []
    for graphs in (False, True):
        recipe, data = toy("cifar10-resnet19")
        few = {"epochs": 4, "finetune_epochs": 0, "batch_size": 2}
        recipe = changed(recipe, training=few, compute={"cuda_graphs": graphs})
        losses.append([record.loss for record in train(recipe, data).history])
    print("losses without and with CUDA graphs:", *(" ".join(f"{x:.5f}" for x in row) for row in losses), sep="\n  ")
    if not np.allclose(*losses, rtol=0.05):
        raise SystemExit("CUDA graphs train otherwise")


# 2. training steps


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


# 3. training


def training(args: argparse.Namespace, device: torch.device) -> None:
    """A preset, with as many epochs as the time allows."""
    recipe, data = toy(args.recipe) if args.toy else real_recipe(args)
    model = build_network(recipe, prepare_data(recipe, data)[0])
    recipe = with_graphs(recipe, data)
    seconds = epoch_seconds(recipe, data)
    left = 60 * args.minutes - (time.perf_counter() - START) - 10
    epochs = 2 if args.toy else max(1, int(0.97 * left / seconds) - 3 * args.finetune_epochs)
    print(f"an epoch takes about {seconds:.1f} s; {left:.0f} s are left for {epochs} epochs", flush=True)
    values = recipe.model_dump()
    values["training"].update(epochs=epochs, finetune_epochs=1 if args.toy else args.finetune_epochs)
    recipe = Recipe(**values)
    (args.out / "recipe.json").write_text(json.dumps(values, indent=1))
    saved = [time.perf_counter()]

    def on_epoch(record: Any) -> None:
        now = time.perf_counter()
        print(f"{now - START:5.0f} s {record.phase} {record.epoch:3}: loss {record.loss:.4f}, train "
              f"{record.train_accuracy:.4f}, test {record.test_accuracy:.4f}", flush=True)  # fmt: skip
        last = record.phase == "float" and record.epoch == epochs
        if last or now - saved[0] > 120:
            save(model, args.out)
            saved[0] = time.perf_counter()

    train(recipe, data, model=model, on_epoch=on_epoch)
    print(f"{time.perf_counter() - START:.0f} s: weights in {args.out}")


def real_recipe(args: argparse.Namespace) -> tuple[Recipe, Dataset]:
    """The preset and its data."""
    batch = [] if args.batch is None else [f"training.batch_size={args.batch}"]
    recipe = find_recipe(args.recipe).overridden([*batch, *args.set])
    return recipe, load_dataset(recipe.data.dataset, args.data_root, **recipe.data_arguments())


def toy(name: str) -> tuple[Recipe, Dataset]:
    """A preset for CIFAR-10 with a small network of the same kind, on a handful of noise."""
    recipe = find_recipe(name)
    if recipe.data.dataset != "cifar10" or recipe.network.name not in TOY_SIZES:
        raise SystemExit(f"--toy has no size for {name}; it takes presets for CIFAR-10 of {', '.join(TOY_SIZES)}")
    rng = np.random.default_rng(0)
    split = Split(rng.integers(0, 256, (16, 3, 32, 32)).astype(np.uint8), rng.integers(0, 10, 16))
    names = tuple(map(str, range(10)))
    small = changed(
        recipe,
        data={"workers": 0},
        network={"args": {**recipe.network.args, **TOY_SIZES[recipe.network.name]}},
        training={"batch_size": 8},
        compute={"precision": "32-true", "cuda_graphs": False},
    )
    return small, ImageDataset("noise", split, split, names, (0, 255), source="drawn here")


def with_graphs(recipe: Recipe, data: Dataset) -> Recipe:
    """The recipe with CUDA graphs, where they work."""
    if not torch.cuda.is_available():
        return recipe
    graphed = changed(recipe, compute={"cuda_graphs": True})
    few = {"max_train": 5 * recipe.training.batch_size, "max_test": 10}
    try:
        train(changed(graphed, data=few, training={"epochs": 1, "finetune_epochs": 0}), data)
    except (RuntimeError, InputError) as error:
        print(f"no CUDA graphs: {str(error)[:600]}")
        return changed(recipe, compute={"cuda_graphs": False})
    return graphed


def epoch_seconds(recipe: Recipe, data: Dataset) -> float:
    """Seconds of an epoch, from its second fifty batches; a second more for its workers and its test."""
    ends: list[float] = []
    batch = recipe.training.batch_size
    few = min(104 * batch, len(data.train))
    training = {"epochs": 1, "finetune_epochs": 0, "warmup_epochs": 0.0}
    limited = changed(recipe, data={"max_train": few, "max_test": 10}, training=training)
    train(limited, data, on_batch=lambda: ends.append(time.perf_counter()))
    first = 49 if len(ends) > 99 else 0  # behind every fiftieth, figures are brought from the GPU
    last = 99 if len(ends) > 99 else len(ends) - 1
    return (ends[last] - ends[first]) / max(1, last - first) * len(data.train) / batch + 1


def changed(recipe: Recipe, **sections: dict[str, Any]) -> Recipe:
    """The recipe with other values."""
    values = recipe.model_dump()
    for name, section in sections.items():
        values[name].update(section)
    return Recipe(**values)


def save(model: torch.nn.Module, folder: Path) -> None:
    """All parameters and buffers in the order of their names, float32, in parts; and their names and shapes."""
    state = {name: t for name, t in model.state_dict().items() if t.is_floating_point()}
    flat = torch.cat([t.detach().float().cpu().flatten() for t in state.values()]).numpy()
    (folder / "shapes.json").write_text(json.dumps({name: list(t.shape) for name, t in state.items()}))
    each = (PART_BYTES - HEADER_BYTES) // flat.itemsize
    for index in range(-(-len(flat) // each)):
        np.save(folder / f"part{index}.npy", flat[index * each : (index + 1) * each])


def join(folder: Path) -> Path:
    """A state dictionary of the parts, as `weights.pt` beside them."""
    parts = sorted(folder.glob("part*.npy"), key=lambda p: int(p.stem.removeprefix("part")))
    flat, start, state = np.concatenate([np.load(p) for p in parts]), 0, {}
    for name, shape in json.loads((folder / "shapes.json").read_text()).items():
        size = int(np.prod(shape, dtype=np.int64))
        state[name] = torch.from_numpy(flat[start : start + size].reshape(shape).copy())
        start += size
    torch.save(state, folder / "weights.pt")
    return folder / "weights.pt"


def median_ms(call: Callable[[], Any], device: torch.device, repeats: int = 20) -> float:
    """Median milliseconds of a call."""
    call()
    times = []
    for _ in range(repeats):
        if device.type == "cuda":
            torch.cuda.synchronize()
        start = time.perf_counter()
        call()
        if device.type == "cuda":
            torch.cuda.synchronize()
        times.append(1000 * (time.perf_counter() - start))
    return statistics.median(times)


if __name__ == "__main__":
    main()
