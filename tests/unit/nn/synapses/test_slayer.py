"""The fast products against lava-dl's: currents with ==, weight gradients to 1e-5."""

import itertools

import pytest
import torch
from lava.lib.dl.slayer import synapse as slayer

from pumice.errors import InputError
from pumice.nn import CubaNeuron
from pumice.nn.layout import slayer_order, time_major
from pumice.nn.synapses import slayer as ours
from pumice.nn.synapses.sparse_product import MOST, Events


def both(make, quantised=True):
    """lava-dl's synapse and the adopted one with the same weights, quantised as in training."""
    stock, fast = make(), make()
    fast.load_state_dict(stock.state_dict())
    neuron = CubaNeuron(threshold=1.0, current_decay=0.5, voltage_decay=0.5)
    for synapse in (stock, fast):
        synapse.pre_hook_fx = super(CubaNeuron, neuron).quantize_8bit if quantised else None
    return stock, ours.fast(fast, neuron)


def assert_same(stock, fast, x, expects_gradient=True):
    assert type(fast) is not type(stock)
    weights, seen = None, []
    for synapse in (stock, fast):
        x_ = x.clone(memory_format=torch.preserve_format).requires_grad_(expects_gradient)
        z = synapse(x_)
        weights = torch.randn(z.shape) if weights is None else weights
        if expects_gradient:
            (z * weights).sum().backward()
        seen.append((z, x_.grad, synapse.weight.grad))
    assert torch.equal(seen[1][0], seen[0][0])
    assert seen[0][0].abs().sum() > 0
    for mine, theirs in zip(seen[1][1:], seen[0][1:], strict=True):
        assert (mine is None) == (theirs is None)
        if mine is not None:
            assert float((mine - theirs).norm()) <= 1e-5 * float(theirs.norm())


def spikes(*shape, density, peak=1):
    return (torch.rand(shape) < density).float() * torch.randint(1, peak + 1, shape)


@pytest.mark.parametrize("density", [0.0005, 0.02, MOST / 2, 0.5, 1.0])
@pytest.mark.parametrize("peak", [1, 7])
@pytest.mark.parametrize("outputs", [5, 32, 300])
@pytest.mark.parametrize("in_steps", [False, True])
def test_dense_products_of_few_and_of_many_spikes(density, peak, outputs, in_steps):
    stock, fast = both(lambda: slayer.Dense(70, outputs, weight_scale=5))
    x = spikes(3, 70, 50, density=density, peak=peak)
    x[0, 3, 7] = 1
    assert_same(stock, fast, slayer_order(time_major(x)) if in_steps else x)


def test_dense_over_an_image_is_a_kernel_as_large():
    stock, fast = both(lambda: slayer.Dense((4, 3, 2), 5, weight_scale=3))
    assert_same(stock, fast, spikes(2, 2, 3, 4, 9, density=0.4))


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"stride": 2, "padding": 1},
        {"kernel_size": (3, 2), "stride": (1, 2), "padding": (0, 1), "dilation": (2, 1)},
        {"groups": 2},
        {"weight_norm": True},
    ],
    ids=str,
)
@pytest.mark.parametrize("channels", [2, 6])
@pytest.mark.filterwarnings("ignore:`torch.nn.utils.weight_norm` is deprecated")
def test_convolutions(options, channels):
    options = {"kernel_size": 3, "weight_scale": 3, **options}
    stock, fast = both(lambda: slayer.Conv(channels, 4, **options))
    if options.get("weight_norm"):
        x = spikes(2, channels, 7, 9, 5, density=0.3)
        assert torch.equal(fast(x), stock(x))
    else:
        assert_same(stock, fast, spikes(2, channels, 7, 9, 5, density=0.3, peak=9))


@pytest.mark.parametrize(
    ("options", "size"),
    [
        ({"kernel_size": 2}, (6, 8)),
        ({"kernel_size": 3}, (6, 9)),
        ({"kernel_size": 2}, (5, 7)),  # SLAYER appends a row
        ({"kernel_size": (2, 3)}, (6, 9)),
    ],
    ids=str,
)
def test_pooling(options, size):
    stock, fast = both(lambda: slayer.Pool(weight_scale=1.1, **options))
    assert_same(stock, fast, spikes(2, 3, *size, 5, density=0.4))


@pytest.mark.parametrize(
    ("options", "size", "channels"),
    [
        ({"kernel_size": 3}, (5, 7), 3),  # SLAYER appends two rows where one is missing
        ({"kernel_size": 2, "stride": 1}, (6, 6), 2),
        ({"kernel_size": 2, "padding": 1}, (6, 6), 2),
        ({"kernel_size": 3}, (2, 9), 3),  # no row in a channel
        ({"kernel_size": 3}, (9, 1), 3),  # no column
    ],
    ids=str,
)
def test_pooling_that_slayer_fails_at_is_one_clear_error(options, size, channels):
    stock, fast = both(lambda: slayer.Pool(weight_scale=1.1, **options))
    x = spikes(2, channels, *size, 5, density=0.4)
    with pytest.raises(RuntimeError, match=r"invalid for input of size|Kernel size can't be greater"):
        stock(x)
    with pytest.raises(InputError, match=r"Pool: kernel .* use a kernel that divides the image's size"):
        fast(x)


@pytest.mark.parametrize("kind", [slayer.Pool, slayer.Unpool])
@pytest.mark.parametrize("channels", [1, 2, 3])
def test_windows_of_any_form_are_slayers_or_refused(kind, channels):
    seen = set()
    sizes = (2, 3), (1, 2, 3), (0, 1), (1, 2), (1, 2, 5, 6)
    for kernel, stride, padding, dilation, height in itertools.product(*sizes):
        options = {"stride": stride, "padding": padding, "dilation": dilation}
        stock, fast = both(lambda: kind(kernel, **options))  # noqa: B023
        x, answers = spikes(1, channels, height, 4, 2, density=0.4), []
        for synapse, error in ((stock, RuntimeError), (fast, InputError)):
            try:
                answers.append(synapse(x))
            except error:
                answers.append(None)
        seen.add(answers[0] is None)
        assert (answers[0] is None) == (answers[1] is None), (kernel, options, height)
        if answers[0] is not None:
            torch.testing.assert_close(answers[1], answers[0])
    assert False in seen


def test_weights_of_a_pool_that_learn_have_a_gradient_each():
    """As with weight norm, whose parameters learn."""
    stock, fast = both(lambda: slayer.Pool(2))
    for synapse in (stock, fast):
        synapse.weight.requires_grad_()
    assert_same(stock, fast, spikes(2, 3, 8, 6, 9, density=0.4))
    assert len(fast.weight.grad.unique()) > 1


def test_pooling_with_uneven_weights():
    stock, fast = both(lambda: slayer.Pool(2))
    for synapse in (stock, fast):
        synapse.weight.data[0, 0, 0, 1] = 2
    assert_same(stock, fast, spikes(2, 3, 6, 6, 5, density=0.4))


def test_weights_that_are_not_quantised_are_as_good_as_exact():
    stock, fast = both(lambda: slayer.Dense(70, 40), quantised=False)
    x = spikes(3, 70, 50, density=0.05)
    torch.testing.assert_close(fast(x), stock(x), rtol=1e-5, atol=1e-6)


def test_events_are_the_non_zero_inputs_in_both_orders():
    x = spikes(2, 9, 40, density=0.05, peak=3)
    for input in (x, slayer_order(time_major(x))):
        found = Events.find(input)
        for matrix, rows_are_steps in ((found.by_step, True), (found.by_neuron, False)):
            rebuilt = torch.zeros_like(x)
            for b in range(2):
                for row in range(matrix.pointers.shape[1] - 1):
                    for e in range(matrix.pointers[b, row], matrix.pointers[b, row + 1]):
                        column = matrix.columns[b, e]
                        at = (column, row) if rows_are_steps else (row, column)
                        rebuilt[b][at] = float(matrix.values[b, e])
            assert torch.equal(rebuilt, x)


def test_one_crowded_sample_makes_the_batch_dense():
    x = spikes(3, 20, 40, density=0.01)
    assert Events.find(x) is not None
    x[1] = 1
    assert Events.find(x) is None


@pytest.mark.parametrize("inputs", [69, 71])
def test_a_dense_layer_of_another_size_is_refused_whatever_spikes(inputs):
    """Loops over spikes read what lies beside the weight."""
    _, fast = both(lambda: slayer.Dense(70, 40))
    for density in (0.01, 1.0):
        with pytest.raises(InputError, match=f"Dense takes .* make it for {inputs} channels"):
            fast(spikes(3, inputs, 50, density=density))


STRIDED = """
import torch
from pumice.nn.synapses.slayer import convolve_steps
torch.set_num_threads(1)
kept = []
for n in range(60):
    x = torch.randn(8, 4, 16, 16, 1, requires_grad=True)
    y = convolve_steps(x, torch.randn(8, 4, 1, 1, requires_grad=True), stride=(2, 2))
    y.backward(torch.ones_like(y))
    kept = [*kept[::2], (x.grad, [bytes(100) for _ in range(50)])]
"""


def test_a_strided_kernel_of_one_position_writes_nowhere_else(run_warm, tmp_path):
    """In a process of its own, which the C library ends where its heap is damaged."""
    done = run_warm(STRIDED, folder=tmp_path, timeout=120)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("stride", [(2, 2), (1, 3)])
def test_a_strided_kernel_of_one_position_is_torchs(stride):
    torch.manual_seed(0)
    x, weight = torch.randn(2, 5, 7, 6, 3, dtype=torch.float64), torch.randn(4, 5, 1, 1, dtype=torch.float64)
    got = ours.convolve_steps(x, weight, stride=stride)
    for step in range(3):
        expected = torch.nn.functional.conv2d(x[..., step], weight, stride=stride)
        torch.testing.assert_close(got[..., step], expected)
