import numpy as np
import pytest
import torch
from lava.lib.dl.slayer import axon

import pumice
from pumice import ir, nn
from pumice.errors import InputError
from pumice.nn import Delay
from pumice.nn.kernels import cpu
from pumice.nn.surrogate import PAPER

SHAPES = [(2, 5), (3, 4, 2, 3), (17, 3, 7, 4)]  # the last: blocks of neurons that channels do not divide


def same_delays(channels, values):
    """lava-dl's delay and ours with the same values."""
    stock, ours = axon.Delay(max_delay=62), Delay(channels)
    stock.delay.data, stock.init = values.clone(), True
    ours.delay.data = values.clone()
    return stock, ours


def test_lava_dls_operator():
    """PAPERS a5: a spike at 1, delay 2, gradient -1 to 1."""
    delay = Delay(1)
    delay.delay.data[:] = 2
    x = torch.zeros(1, 1, 12)
    x[..., 1] = 1
    y = delay(x)
    assert torch.nonzero(y[0, 0]).flatten().tolist() == [3]
    y.backward(torch.linspace(-1, 1, 12).view(1, 1, 12))
    assert float(delay.delay.grad) == pytest.approx(0.181818, abs=5e-7)


def spikes(*shape):
    return (torch.rand(shape) < 0.3).float()


def spikes_but_for_one(*shape):
    """Its block goes the way of numbers, other blocks that of spikes."""
    x = spikes(*shape)
    x.view(-1)[-1] = 0.5
    return x


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("steps", [1, 7, 80])
@pytest.mark.parametrize("make", [spikes, spikes_but_for_one, torch.randn])
def test_shift_and_gradients_are_lava_dls(shape, steps, make):
    compare_with_lava_dl(shape, steps, make)


def compare_with_lava_dl(shape, steps, make=spikes):
    channels = shape[1]
    values = torch.tensor([0.0, 2.9, 61.0, 70.0, -3.0])[:channels]  # also beyond the clamp
    stock, ours = same_delays(channels, values)
    x, weights, seen = make(*shape, steps), torch.randn(*shape, steps), []
    for delay in (stock, ours):
        x_ = x.clone().requires_grad_()
        y = delay(x_)
        (y * weights).sum().backward()
        seen.append((y, x_.grad, delay.delay.grad))
    assert torch.equal(seen[1][0], seen[0][0])
    assert torch.equal(seen[1][1], seen[0][1])
    torch.testing.assert_close(seen[1][2], seen[0][2], rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("dtype", [torch.float64, torch.bfloat16, torch.float16])
def test_other_types_are_moved_as_float32_is(dtype):
    values, x = torch.tensor([0.0, 2.9, 61.0]), spikes(40, 3, 70)
    weights, seen = (1 + torch.rand(40, 3, 70) / 64).to(dtype), []
    for of_type in (torch.float32, dtype):
        _, delay = same_delays(3, values)
        x_ = x.clone().to(of_type).requires_grad_()
        y = delay(x_)
        assert y.dtype == of_type
        (y * weights.to(of_type)).sum().backward()
        seen.append((y.float(), x_.grad.float(), delay.delay.grad))
    for mine, wanted in zip(*seen[::-1], strict=True):
        torch.testing.assert_close(mine, wanted, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_what_is_no_number_moves_alone(dtype):
    """It shows neither before it arrives nor where zeros come from; the same for the gradient."""
    delay, x = Delay(1), torch.zeros(1, 1, 6, dtype=dtype)
    delay.delay.data[:] = 2
    x[..., 0] = torch.nan
    y = delay(x.requires_grad_())
    assert y.isnan().flatten().tolist() == [False, False, True, False, False, False]
    slopes = torch.zeros_like(y)
    slopes[..., -1] = torch.inf
    (found,) = torch.autograd.grad(y, x, slopes)
    assert found.flatten().tolist() == [0, 0, 0, torch.inf, 0, 0]


def a_step_early(words):
    return torch.cat([words[:1], words[1:] << 1])


@pytest.mark.parametrize(
    ("name", "make", "defect"),
    [
        ("delay_forward", spikes, lambda x, floor, y, words: (x, floor + 1, y, words)),
        ("delay_forward", torch.randn, lambda x, floor, y, words: (x, floor + 1, y, words)),
        ("delay_backward", spikes, lambda g, y, words, floor, *out: (g, y, words, floor + 1, *out)),
        ("delay_backward", spikes, lambda g, y, words, floor, *out: (g, y, a_step_early(words), floor, *out)),
        ("delay_backward", spikes, lambda g, y, words, floor, *out: (g, y, words.roll(1, 1), floor, *out)),
        ("delay_backward", torch.randn, lambda g, y, words, floor, *out: (g, -y, words, floor, *out)),
        ("delay_backward", torch.randn, lambda g, y, words, floor, *out: (g, y.roll(1, 0), words, floor, *out)),
        ("delay_backward", torch.randn, lambda g, y, words, floor, *out: (g, y, 0 * words, floor, *out)),
    ],
    ids=[
        "spikes a step too late",
        "numbers a step too late",
        "gradient of the input a step early",
        "delay's of spikes a step early",
        "delay's of other neurons' spikes",
        "delay's of the wrong sign",
        "delay's of numbers a step late",
        "numbers taken for spikes",
    ],
)
@pytest.mark.parametrize("shape", SHAPES)
def test_planted_defects_of_the_loops_show(name, make, defect, shape, monkeypatch):
    """`compare_with_lava_dl` would see each of them."""
    loop = getattr(cpu, name)
    monkeypatch.setattr(cpu, name, lambda *args: loop(*defect(*args)))
    with pytest.raises(AssertionError):
        compare_with_lava_dl(shape, 7, make)


def test_delays_start_below_one_step_and_stay_within_the_chips():
    delay = Delay(1000)
    assert delay.delay.min() >= 0
    assert delay.delay.max() < 1
    assert delay.delay.std() > 0.2
    delay.delay.data = torch.linspace(-5, 100, 1000)
    assert [delay.steps().min(), delay.steps().max()] == [0, 62]


def test_wrong_arguments_are_refused():
    with pytest.raises(InputError, match="0 to 62"):
        Delay(3, max_delay=63)
    with pytest.raises(InputError, match="3 channels"):
        Delay(3)(torch.zeros(1, 4, 5))


@pytest.mark.parametrize(
    "make",
    [
        lambda params: nn.Dense(params, 6, 4, delay=True),
        lambda params: nn.Conv(params, 1, 4, 3, delay=True),
        lambda params: nn.Pool(params, 2, delay=True),
        lambda params: nn.Recurrent(params, 6, 4, delay=True),
        lambda params: nn.Merge(params, nn.DenseSynapse(6, 4), delay=True),
        lambda params: nn.Merge(params, nn.DenseSynapse(6, 1), nn.DenseSynapse(6, 3), concat=True, delay=True),
    ],
    ids=["dense", "conv", "pool", "recurrent", "sum", "concat"],
)
def test_the_state_of_a_trained_block_loads_into_a_fresh_one(params, make):
    """lava-dl's delay is shaped by its first input and draws anew if it was loaded before."""
    block = make(params)
    if isinstance(block, nn.Pool):
        block(torch.zeros(1, 4, 4, 4, 3))
    assert len(block.delay.delay) == 4
    block.delay.delay.data = torch.tensor([1.5, 2.5, 3.5, 40.0])
    fresh = make(params)
    fresh.load_state_dict(block.state_dict())
    assert torch.equal(fresh.delay.delay, block.delay.delay)
    assert fresh.delay.steps().tolist() == [1, 2, 3, 40]


# A task for delays: four channels fire once each, spread over 12 steps, in one order or the reverse.
ARRIVALS, STEPS, MEMORYLESS = (
    (0, 4, 8, 12),
    32,
    {"threshold": 1.0, "current_decay": 1.0, "voltage_decay": 1.0, **PAPER},
)


def coincidence_task(samples, seed):
    """Spikes (sample, channel, time) and the order, 0 or 1."""
    rng = np.random.default_rng(seed)
    x, order = np.zeros((samples, 4, STEPS), np.float32), rng.integers(0, 2, samples)
    for n in range(samples):
        start = rng.integers(0, 4)
        arrivals = ARRIVALS if order[n] == 0 else ARRIVALS[::-1]
        x[n, np.arange(4), start + np.array(arrivals)] = 1
    return torch.from_numpy(x), torch.from_numpy(order)


def detector(delay):
    """Relays of the inputs, and two neurons that remember nothing: they see what arrives in the same step."""
    torch.manual_seed(0)
    relays = nn.Dense(MEMORYLESS, 4, 32, delay=delay)
    relays.synapse.weight.data = 1.5 * torch.eye(4).repeat(8, 1).view(32, 4, 1, 1, 1)
    if delay:
        relays.delay.delay.data.mul_(max(ARRIVALS))
    model = torch.nn.Sequential(relays, nn.Dense(MEMORYLESS, 32, 2))
    model[1].synapse.weight.data.abs_().mul_(5)
    return model


def learn(model, epochs=100):
    x, order = coincidence_task(64, seed=0)
    delays = [p for name, p in model.named_parameters() if name.endswith("delay.delay")]
    groups = [{"params": [model[1].synapse.weight], "lr": 0.03}, {"params": delays, "lr": 0.1}]
    optimiser = torch.optim.Adam([group for group in groups if group["params"]])
    for _ in range(epochs):
        optimiser.zero_grad()
        torch.nn.functional.cross_entropy(model(x).sum(-1), order).backward()
        optimiser.step()
    return model


def accuracy(counts, order):
    return float((counts[:, 1] > counts[:, 0]).eq(order == 1).float().mean())


def test_a_coincidence_of_spread_spikes_is_learned_with_delays_and_lowered_exactly():
    x, _ = coincidence_task(64, seed=0)
    unseen, unseen_order = coincidence_task(100, seed=1)
    model = detector(delay=True)
    before = model[0].delay.steps()
    assert accuracy(model(unseen).sum(-1), unseen_order) < 0.7
    learn(model)
    assert accuracy(model(unseen).sum(-1), unseen_order) == 1
    assert (model[0].delay.steps() != before).sum() > 16
    graph = pumice.lower(model, x[:8])
    some = unseen[:8]
    samples = ir.torch_to_lava(some.numpy()).astype(int)
    spikes = pumice.run(graph, ir.to_stream(graph, samples), backend="reference").spikes
    per_step = ir.from_stream(graph, spikes, len(samples))
    assert np.array_equal(per_step, ir.torch_to_lava(model(some).detach().numpy()).astype(int))
    assert accuracy(model(unseen).sum(-1), unseen_order) == 1
    assert any(np.max(s.delay_steps) > 2 for s in graph.synapses)


def test_without_delays_both_orders_look_the_same():
    """The same four inputs, one by one in another order: neurons without memory answer with the same spikes."""
    model = learn(detector(delay=False))
    x, order = coincidence_task(100, seed=1)
    counts = model(x).sum(-1)
    assert (counts == counts[0]).all()
    assert 0.3 < accuracy(counts, order) < 0.7


def test_a_delay_is_found_by_descent():
    """Oracle 1e, to its end: true delay 8, from 1."""
    neuron, delay = nn.SRMNeuron(threshold=1.0, tau_s=10.0, tau_r=1.0), Delay(1)
    spikes, target = torch.zeros(1, 1, 60), Delay(1)
    spikes[..., 5] = 1
    delay.delay.data[:], target.delay.data[:] = 1.0, 8.5
    wanted = neuron.psp(target(spikes)).detach()
    optimiser = torch.optim.Adam(delay.parameters(), lr=0.3)
    for _ in range(60):
        optimiser.zero_grad()
        (neuron.psp(delay(spikes)) - wanted).square().sum().backward()
        optimiser.step()
    assert delay.steps().tolist() == [8]
