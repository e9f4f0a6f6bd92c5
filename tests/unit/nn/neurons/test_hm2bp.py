"""HM2-BP's gradient against the published equations, pair of spikes by pair of spikes."""

from itertools import pairwise

import pytest
import torch

from pumice.errors import InputError
from pumice.nn import (
    HM2BP,
    TDBN,
    Conv,
    CubaNeuron,
    Dense,
    DenseSynapse,
    LateralInhibition,
    Merge,
    Pool,
    Recurrent,
    set_gradient_,
)
from pumice.nn.neurons.psp import Membrane, credit
from pumice.nn.padding import padded_
from pumice.quantization import quantize_
from pumice.train.losses import CountMarginLoss
from pumice.train.runtime.precision import neurons_in_float32

TAU_M, TAU_S = 64.0, 8.0
PARAMS = {"current_decay": 1 / TAU_S, "voltage_decay": 1 / TAU_M}


class Scripted(CubaNeuron):
    """Fires as it is told, whatever it receives."""

    def spikes_by_slayer(self, input):
        return self.script.to(input.dtype)


def scripted(layer, threshold, script, rule=None):
    layer.neuron = Scripted(
        threshold=threshold, **PARAMS, gradient=rule or HM2BP(least_self_effect=None, largest_self_effect=None)
    )
    layer.neuron.script = script
    layer.synapse.pre_hook_fx = None  # weights as they are
    return layer.double()


def dense(weight, threshold, script, rule=None):
    layer = scripted(Dense({"threshold": threshold, **PARAMS}, *weight.T.shape), threshold, script, rule)
    layer.synapse.weight.data = weight.reshape(layer.synapse.weight.shape).clone()
    return layer


def spikes_of(trains, steps):
    spikes = torch.zeros(1, len(trains), steps, dtype=torch.float64)
    for neuron, times in enumerate(trains):
        spikes[0, neuron, times] = 1
    return spikes


def test_a_tiny_network_by_hand(monkeypatch):
    """Numbers of an independent evaluation of the paper's equations, whose kernel acts a step behind a spike."""
    monkeypatch.setattr("pumice.nn.neurons.psp.Membrane.of", lambda *_: _paper(lag=1))
    x, h, y = (spikes_of(trains, 20) for trains in ([[2, 9], [4]], [[6, 14]], [[12]]))
    # Weights of a neuron that divides its current by tau_s are tau_s times the chip's.
    first = dense(torch.tensor([[1.5, -0.5]], dtype=torch.float64) / TAU_S, 2.0, h)
    second = dense(torch.tensor([[0.8]], dtype=torch.float64) / TAU_S, 1.0, y)
    counts = second(first(x)).sum(-1)
    (0.5 * (counts - 3).square().sum()).backward()
    assert second.synapse.weight.grad.item() / TAU_S == pytest.approx(-1.402650, abs=1e-6)
    assert (first.synapse.weight.grad.flatten() / TAU_S).tolist() == pytest.approx([-0.321836, -0.183911], abs=1e-6)


def test_the_parts_of_the_tiny_network_by_hand():
    """T-PSPs, S and error of the hidden neuron, of the same evaluation."""

    def credit_of(trains_of_output, currents):
        s = spikes_of([trains_of_output], 20)[0].T
        return credit(s, torch.zeros_like(s), currents, _paper(lag=1))

    x, h = (spikes_of(trains, 20)[0].T / TAU_S for trains in ([[2, 9], [4]], [[6, 14]]))
    hidden = credit_of([6, 14], x @ torch.tensor([[1.5], [-0.5]], dtype=torch.float64))
    output = credit_of([12], 0.8 * h)
    effects = hidden.per_step.T @ x, output.per_step.T @ h
    assert effects[0].flatten().tolist() == pytest.approx([1.182401, 0.675676], abs=1e-6)
    assert effects[1].item() == pytest.approx(0.500736, abs=1e-6)
    assert (hidden.potential / hidden.count / 2.0).item() == pytest.approx(0.358941, abs=1e-6)
    assert (output.potential / output.count / 1.0).item() == pytest.approx(0.400589, abs=1e-6)
    delta = (output.count - 3).item() / 1.0
    assert delta == -2
    assert delta * 0.8 * effects[1].item() / 2 / 2.0 == pytest.approx(-0.200294, abs=1e-6)


def _paper(lag):
    return Membrane.continuous(TAU_M, TAU_S, lag=lag)


def literal(
    inputs, outputs, weight, threshold, delta, *, membrane, self_effect=True, over_threshold=True, discount=False
):
    """Gradients of one layer's weights and of its inputs' counts, one pair of neurons after the other."""
    k = membrane.response(inputs.shape[-1])

    def effect(j, i):
        total, last = 0.0, None
        for f in torch.nonzero(outputs[i]).flatten().tolist():
            for g in torch.nonzero(inputs[j]).flatten().tolist():
                total += k[f - g] if g <= f else 0.0
                if last is not None and g <= last:
                    total -= k[last - g] * membrane.keep_voltage ** (f - last)
            last = f
        return total

    n_out, n_in = weight.shape
    o_in, o_out = inputs.sum(-1), outputs.sum(-1)
    tau_s = 1 / PARAMS["current_decay"]
    g_weight, g_count = torch.zeros_like(weight), torch.zeros(n_in, dtype=torch.float64)
    for i in range(n_out):
        e = [effect(j, i) if o_out[i] else 0.1 * tau_s * bool(o_in[j]) for j in range(n_in)]
        ratios = [e[j] / o_out[i] if o_out[i] else 0.5 * tau_s * bool(o_in[j]) for j in range(n_in)]
        mean_potential = sum(w * ratio for w, ratio in zip(weight[i].tolist(), ratios, strict=True))
        divisor = max(threshold, mean_potential) if discount and o_out[i] else threshold
        s, delta_i = mean_potential / divisor, delta[i] / divisor if over_threshold else delta[i]
        for j in range(n_in):
            g_weight[i, j] = delta_i * e[j] * (1 + s * self_effect)
            g_count[j] += delta_i * weight[i, j] * (e[j] / o_in[j] if o_in[j] and o_out[i] else tau_s)
    return g_weight, g_count


def random_layers(seed=0, batch=3, steps=25):
    generator = torch.Generator().manual_seed(seed)
    sizes = 6, 5, 4
    spikes = [(torch.rand(batch, n, steps, generator=generator) < 0.25).double() for n in sizes]
    spikes[0][0, 1], spikes[1][1, 2], spikes[1][0, 0], spikes[2][0, 3], spikes[2][2, 0] = 0, 0, 0, 0, 0  # silent
    weights = [torch.randn(n, m, generator=generator, dtype=torch.float64) for m, n in pairwise(sizes)]
    wanted = torch.randint(0, 9, (batch, sizes[-1]), generator=generator)
    return spikes, weights, wanted


@pytest.mark.parametrize(("timing", "discount"), [("neuron", False), ("paper", False), ("neuron", True)])
def test_every_gradient_is_that_of_the_pairs(timing, discount):
    """With neurons that are silent before, behind, and on both sides; and each planted defect is seen."""
    (x, h, y), weights, wanted = random_layers()
    rule = HM2BP(timing=timing, least_self_effect=None, largest_self_effect=None, discount_overshoot=discount)
    first, second = dense(weights[0], 1.5, h, rule), dense(weights[1], 0.75, y, rule)
    (0.5 * (second(first(x)).sum(-1) - wanted).square().sum()).backward()

    def written_out(**defects):
        shared = {"membrane": Membrane.of(first.neuron, timing), "discount": discount, **defects}
        grads = [torch.zeros_like(weight) for weight in weights]
        for b in range(len(x)):
            delta = y[b].sum(-1) - wanted[b]
            g_second, of_hidden = literal(h[b], y[b], weights[1], 0.75, delta, **shared)
            g_first, _ = literal(x[b], h[b], weights[0], 1.5, of_hidden, **shared)
            grads = [grads[0] + g_first, grads[1] + g_second]
        return grads

    for layer, expected in zip((first, second), written_out(), strict=True):
        torch.testing.assert_close(layer.synapse.weight.grad.view(expected.shape), expected, rtol=1e-10, atol=1e-10)
    for defect in ({"self_effect": False}, {"over_threshold": False}, {"discount": not discount}):
        for layer, wrong in zip((first, second), written_out(**defect), strict=True):
            assert not torch.allclose(layer.synapse.weight.grad.view(wrong.shape), wrong, rtol=1e-3)


def test_even_spikes_stand_in_for_a_silent_neuron_that_should_fire():
    """In the output layer, and in the backward pass alone."""
    (x, h, _), (weight, _), _ = random_layers()
    h[:, 3], h[1, 2] = 0, 0
    slopes = torch.tensor([[1.0, -1.0, -2.0, -1.0, 0.5]] * 3, dtype=torch.float64)
    slopes[0, 3] = 1.0  # this one is right to be silent
    replaced = h.clone()
    for sample, neuron in ((1, 2), (1, 3), (2, 3)):
        replaced[sample, neuron, 3::4] = 1
    grads = {}
    for name, rule in {
        "stood in": HM2BP(least_self_effect=None, largest_self_effect=None, stand_in=4).of_output(),
        "hidden": HM2BP(least_self_effect=None, largest_self_effect=None, stand_in=4),
        "none": HM2BP(least_self_effect=None, largest_self_effect=None),
        "fired": HM2BP(least_self_effect=None, largest_self_effect=None),
    }.items():
        layer = dense(weight, 1.5, replaced if name == "fired" else h, rule)
        spikes = layer(x)
        assert torch.equal(spikes, replaced if name == "fired" else h)
        (spikes.sum(-1) * slopes).sum().backward()
        grads[name] = layer.synapse.weight.grad
    torch.testing.assert_close(grads["stood in"], grads["fired"], rtol=1e-12, atol=1e-12)
    assert torch.equal(grads["hidden"], grads["none"])
    assert not torch.allclose(grads["hidden"], grads["fired"], rtol=1e-2)


def test_a_silent_neuron_near_its_threshold_has_the_gradients_of_one_that_fires_at_the_last_step():
    """One beyond reach has none, but an output neuron that should fire; silent inputs have the e of their steps."""
    (x, h, _), (weight, _), _ = random_layers()
    weight[3] = -weight[3].abs() / 200
    h[:, 3], h[1, 2], h[0, 0] = 0, 0, 0
    x = x.requires_grad_()
    slopes = torch.randn(3, 5, 25, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    slopes[1, 2] -= 1  # this one should fire
    silent = h.sum(-1) == 0
    response = torch.tensor(_membrane(dense(weight, 1.5, h)).response(25)[::-1], dtype=torch.float64)
    last = weight @ x.detach() @ response
    assert all((silent & there).any() for there in (last < -3, (last > -3) & (last < 0)))
    for is_output in (False, True):
        stands_in = silent & (last > -3)  # two thresholds
        assert (silent & ~stands_in & (slopes.mean(-1) < 0)).any()
        if is_output:
            stands_in |= silent & (slopes.mean(-1) < 0)
        options = {"least_self_effect": None, "largest_self_effect": None}
        rule = HM2BP(**options, silent_reach=2.0)
        layer = dense(weight, 1.5, h, rule.of_output() if is_output else rule)
        spikes = layer(x)
        assert torch.equal(spikes, h)
        of_x, of_weight = torch.autograd.grad((spikes * slopes).sum(), [x, layer.synapse.weight])

        fired = h.clone()
        fired[..., -1] += stands_in
        count = fired.sum(-1)
        delta = torch.where(silent, slopes.mean(-1), (h * slopes).sum(-1) / count.clamp(min=1)) / 1.5
        expected_x, expected_weight = torch.zeros_like(of_x), torch.zeros_like(weight)
        for b in range(3):
            trains, rest = fired[b].T.contiguous(), torch.zeros_like(fired[b].T)
            per_step = credit(trains, rest, rest, _membrane(layer)).per_step  # held to the pairs above
            effect = per_step.T @ x[b].detach().T
            own = (weight * effect).sum(1) / count[b].clamp(min=1) / 1.5
            expected_weight += (delta[b] * (1 + own))[:, None] * effect
            expected_x[b] = weight.T @ (per_step * delta[b]).T
        torch.testing.assert_close(of_weight.view(weight.shape), expected_weight, rtol=1e-10, atol=1e-10)
        torch.testing.assert_close(of_x, expected_x, rtol=1e-10, atol=1e-10)


def test_the_gradient_is_that_of_a_smooth_objective_where_there_is_one():
    """The counts' linear response to T-PSPs that grow with the neuron's own count; the effects themselves frozen.

    It exists for one layer. Through two there is none: HM2-BP's error of the layer before has no S.
    """
    (x, h, _), (weight, _), _ = random_layers()
    x, h, wanted = x[1:2].clone(), h[1:2].clone(), torch.tensor([9.0, 0.0, 3.0, 1.0, 2.0], dtype=torch.float64)
    h[0, 2, 5] = 1  # nobody is silent
    layer = dense(weight, 1.5, h)
    spikes = layer(x)
    (0.5 * (spikes.sum(-1) - wanted).square().sum()).backward()
    count = h[0].sum(-1)
    silence = torch.zeros_like(h[0].T)
    effect = credit(h[0].T, silence, silence, _membrane(layer)).per_step.T @ x[0].T

    def objective(w):
        own = count + ((w - weight) * effect).sum(1) / 1.5  # the neuron's count, to first order
        a = (w * effect).sum(1) * own / count
        return 0.5 * (count + (a - (weight * effect).sum(1)) / 1.5 - wanted).square().sum()

    for i, j in ((0, 0), (2, 3), (4, 5)):
        step = torch.zeros_like(weight)
        step[i, j] = 1e-6
        slope = (objective(weight + step) - objective(weight - step)).item() / 2e-6
        assert layer.synapse.weight.grad.view(weight.shape)[i, j].item() == pytest.approx(slope, rel=1e-6)


def _membrane(layer):
    return Membrane.of(layer.neuron, "neuron")


def test_a_convolution_has_the_gradients_of_its_matrix():
    generator = torch.Generator().manual_seed(0)
    x = (torch.rand(2, 2, 5, 4, 20, generator=generator) < 0.2).double().requires_grad_()
    script = (torch.rand(2, 3, 5, 4, 20, generator=generator) < 0.2).double()
    script[:, 1, 2] = 0
    conv = scripted(Conv({"threshold": 1.5, **PARAMS}, 2, 3, 3, padding=1), 1.5, script)
    pixels = torch.eye(40, dtype=torch.float64).view(40, 2, 5, 4, 1)
    with torch.no_grad():
        matrix = conv.synapse(pixels).flatten(1).T.contiguous()
        conv.synapse.weight.data.zero_()[:] = torch.arange(1.0, 55.0).view(conv.synapse.weight.shape)
        index = conv.synapse(pixels).flatten(1).T.round().long() - 1  # which weight stands where
        conv.synapse.weight.data = (
            torch.zeros(54, dtype=torch.float64)
            .index_put((index[index >= 0],), matrix[index >= 0])
            .view(conv.synapse.weight.shape)
        )
    flat_x = x.detach().flatten(1, 3).requires_grad_()
    plain = dense(matrix, 1.5, script.flatten(1, 3))
    slopes = torch.randn(2, 60, 1, generator=generator, dtype=torch.float64)
    (conv(x).flatten(1, 3) * slopes).sum().backward()
    (plain(flat_x) * slopes).sum().backward()
    of_matrix = plain.synapse.weight.grad.view(60, 40)
    there = index >= 0
    expected = torch.zeros(54, dtype=torch.float64).index_add(0, index[there], of_matrix[there])
    torch.testing.assert_close(conv.synapse.weight.grad.flatten(), expected, rtol=1e-9, atol=1e-9)
    # A silent neuron's ratio of 1 counts in a matrix for all its inputs, which are zeros beyond the kernel.
    torch.testing.assert_close(x.grad.flatten(1, 3), flat_x.grad, rtol=1e-9, atol=1e-9)


def test_a_pooling_layer_divides_its_error_by_its_window():
    generator = torch.Generator().manual_seed(0)
    x = (torch.rand(1, 2, 4, 4, 15, generator=generator) < 0.3).double().requires_grad_()
    script = (torch.rand(1, 2, 2, 2, 15, generator=generator) < 0.5).double()
    pool = scripted(Pool({"threshold": 1.0, **PARAMS}, 2, weight_scale=1.0), 1.0, script)
    pool(x).sum().backward()
    weight = torch.zeros(8, 32, dtype=torch.float64)
    for i, (c, row, column) in enumerate((c, r, k) for c in range(2) for r in range(2) for k in range(2)):
        for dr in range(2):
            for dc in range(2):
                weight[i, c * 16 + (2 * row + dr) * 4 + 2 * column + dc] = pool.synapse.weight.flatten()[0]
    flat = x.detach().flatten(1, 3).requires_grad_()
    dense(weight, 1.0, script.flatten(1, 3))(flat).sum().backward()
    torch.testing.assert_close(x.grad.flatten(1, 3), flat.grad / 4, rtol=1e-9, atol=1e-9)


def fire_the_same(layer, x):
    expected = layer(x)
    set_gradient_(layer, "hm2bp")
    got = layer(x)
    assert torch.equal(got, expected)
    assert 0.05 < got.mean() < 0.95
    got.sum().backward()
    assert all(p.grad.abs().sum() > 0 for p in layer.synapse.parameters() if p.requires_grad)


@pytest.mark.parametrize("deployed", [False, True])
@pytest.mark.parametrize("kind", ["dense", "conv"])
def test_spikes_are_bit_for_bit_those_of_slayers_rule(kind, deployed):
    torch.manual_seed(0)
    params = {"threshold": 2.0, "current_decay": 0.5, "voltage_decay": 0.2}
    if kind == "dense":
        layer, x = Dense(params, 20, 30, weight_scale=12), torch.rand(5, 20, 8) < 0.3
    else:
        layer, x = Conv(params, 2, 4, 3, padding=1, weight_scale=8), torch.rand(5, 2, 6, 5, 8) < 0.3
    if deployed:
        quantize_(layer, x.float())
    fire_the_same(layer, x.float())


def test_a_quantized_layer_has_the_gradient_that_it_had_before():
    torch.manual_seed(0)
    layer = Dense({"threshold": 2.0, "current_decay": 0.5, "voltage_decay": 0.25, "gradient": "hm2bp"}, 20, 30)
    layer.synapse.weight.data = layer.neuron.quantize_8bit(12 * layer.synapse.weight.detach())
    x, slopes = (torch.rand(5, 20, 8) < 0.3).float(), torch.randn(30, 1)
    spikes = layer(x)
    (spikes * slopes).sum().backward()
    before = layer.synapse.weight.grad.clone()
    quantize_(layer, x).zero_grad()
    again = layer(x)
    assert torch.equal(spikes, again)
    (again * slopes).sum().backward()
    torch.testing.assert_close(layer.synapse.weight.grad, before, rtol=2e-3, atol=2e-3)


def test_a_second_backward_pass_gives_the_same():
    torch.manual_seed(0)
    net = torch.nn.Sequential(
        *(
            Dense(
                {"threshold": 2.0, "current_decay": 0.5, "voltage_decay": 0.25, "gradient": "hm2bp"},
                9,
                9,
                weight_scale=9,
            )
            for _ in range(2)
        )
    )
    total = net((torch.rand(2, 9, 8) < 0.5).float()).sum()
    grads = [torch.autograd.grad(total, list(net.parameters())[2:3], retain_graph=keep)[0] for keep in (True, False)]
    assert grads[0].any()
    assert torch.equal(*grads)
    with pytest.raises(RuntimeError, match="second time"):
        total.backward()


def test_a_constant_input_is_multiplied_once_and_learned_from_at_every_step(monkeypatch):
    torch.manual_seed(0)
    layer = Dense({"threshold": 4.0, "current_decay": 0.5, "voltage_decay": 0.2, "gradient": "hm2bp"}, 6, 9)
    x = torch.randint(0, 17, (3, 6, 1)).float().expand(3, 6, 7)
    grads = []
    for constant in (True, False):
        monkeypatch.setattr("pumice.nn.neurons.hm2bp.is_constant", lambda _x, c=constant: c)
        layer.zero_grad()
        (layer(x) * torch.arange(7.0)).sum().backward()
        grads.append(layer.synapse.weight.grad.clone())
    assert grads[0].abs().sum() > 0
    torch.testing.assert_close(*grads, rtol=1e-5, atol=1e-5)


def test_a_layer_learns_what_it_is_told():
    """Counts move to the desired ones, through two layers, of which the first has no loss of its own."""
    torch.manual_seed(0)
    params = {"threshold": 2.0, "current_decay": 0.5, "voltage_decay": 0.1, "gradient": "hm2bp"}
    net = torch.nn.Sequential(Dense(params, 12, 20, weight_scale=4), Dense(params, 20, 3, weight_scale=4))
    x, labels = (torch.rand(30, 12, 20) < 0.3).float(), torch.arange(30) % 3
    loss, optimizer = CountMarginLoss(10, 2, 1), torch.optim.Adam(net.parameters(), 0.05)
    losses = []
    for _ in range(60):
        optimizer.zero_grad()
        losses.append(loss(net(x), labels))
        losses[-1].backward()
        optimizer.step()
    assert losses[-1] < losses[0] / 5
    assert (net(x).sum(-1).argmax(1) == labels).float().mean() > 0.8


@pytest.mark.parametrize(("largest", "factor"), [(None, 1 + 5), (2.0, 2.0), (1.0, 1.0)])
def test_the_effect_of_a_neuron_on_itself_is_bounded(largest, factor):
    """A step that takes a neuron to five times its threshold is worth no more than one that takes it there."""
    rule = HM2BP(least_self_effect=None, largest_self_effect=largest)
    layer = Dense({"threshold": 1.0, "current_decay": 1.0, "voltage_decay": 0.5, "gradient": rule}, 1, 1)
    layer.synapse.weight.data.fill_(2.5)
    layer(torch.full((1, 1, 1), 2.0)).sum().backward()  # v = 5, e = 2
    assert layer.synapse.weight.grad.item() == 2 * factor


@pytest.mark.parametrize(("drive", "slope"), [(0.26, 2 / 1.04), (5.0, 2 / 5)])
def test_what_is_beyond_the_threshold_is_discounted(drive, slope):
    """In eight steps: two spikes just above the threshold, which a scale could make four; eight that stay eight."""
    rule = HM2BP(discount_overshoot=True)
    layer = Dense({"threshold": 1.0, "current_decay": 1.0, "voltage_decay": 0.0, "gradient": rule}, 1, 1)
    layer.synapse.weight.data.fill_(1.0)
    spikes = layer(torch.full((1, 1, 8), drive))
    spikes.sum().backward()
    presynaptic = layer.synapse.weight.grad.item() / (drive * 8)  # every step's input counts once
    assert presynaptic == pytest.approx(slope, rel=1e-3)


def test_what_has_no_such_gradient_is_refused():
    plain = {"threshold": 1.0, "current_decay": 0.5, "voltage_decay": 0.25}
    with pytest.raises(InputError, match=r'no norm \(neuron.norm = "none"\); or use the gradient "slayer"'):
        CubaNeuron(**plain, norm=TDBN, gradient="hm2bp")
    with pytest.raises(InputError, match="needs fixed decays, no graded spikes"):
        CubaNeuron(**plain, requires_grad=True, graded_spike=True, gradient="hm2bp")
    with pytest.raises(InputError, match=r"needs a current that decays \(tau_s = 1 / current_decay\); or use"):
        CubaNeuron(**{**plain, "current_decay": 0.0}, gradient="hm2bp")
    with pytest.raises(InputError, match="needs tau_s < tau_m"):
        CubaNeuron(**{**plain, "voltage_decay": 0.5}, gradient=HM2BP(timing="paper"))
    with pytest.raises(InputError, match="timing must be one of neuron, paper, got 'code'"):
        HM2BP(timing="code")
    for steps in (0, 1.5, float("nan")):
        with pytest.raises(InputError, match=f"stand_in must be None or a whole number >= 1 of steps, got {steps}"):
            HM2BP(stand_in=steps)
    for bounds in ((float("nan"), None), (None, -1.0), (None, float("inf"))):
        with pytest.raises(InputError, match="least_self_effect must be a finite number, and largest_self_effect"):
            HM2BP(least_self_effect=bounds[0], largest_self_effect=bounds[1])
    with pytest.raises(InputError, match="discount_overshoot must be True or False, got 'yes'"):
        HM2BP(discount_overshoot="yes")
    with pytest.raises(InputError, match="least_self_effect must not be above largest_self_effect, got 1"):
        HM2BP(largest_self_effect=0.5)
    with pytest.raises(InputError, match="refractory must be 0, got 2: no backend has a refractory period"):
        HM2BP(refractory=2)
    merged = Merge({**plain, "gradient": "hm2bp"}, DenseSynapse(3, 2))
    with pytest.raises(InputError, match=r"in pumice\.nn\.Dense, Conv and Pool; these neurons are fed in"):
        merged(torch.ones(1, 3, 4))
    with pytest.raises(InputError, match="needs no persistent state"):
        Recurrent({**plain, "gradient": "hm2bp"}, 3, 2)


def test_a_batch_of_no_samples_has_no_gradient():
    layer = Dense({"threshold": 1.0, **PARAMS, "gradient": "hm2bp"}, 6, 4)
    layer(torch.zeros(0, 6, 5)).sum().backward()
    assert not layer.synapse.weight.grad.any()


@pytest.mark.parametrize(
    "rule",
    [HM2BP(), HM2BP(silent_reach=1.0, discount_overshoot=True), HM2BP(stand_in=2)],
    ids=["plain", "reach", "even"],
)
@pytest.mark.parametrize("output", [Dense, LateralInhibition])
def test_samples_that_are_padded_learn_as_each_one_alone(rule, output):
    """Silent and spiking neurons, and inputs that are active behind a sample's end only, where spikes go on, too."""
    torch.manual_seed(0)
    params = {"threshold": 2.0, "current_decay": 0.5, "voltage_decay": 0.1}
    net = torch.nn.Sequential(
        Dense({**params, "gradient": rule}, 6, 24, weight_scale=4),
        output({**params, "threshold": 3.0, "gradient": rule.of_output()}, 24, 5, weight_scale=4),
    )
    x, labels, lengths = (torch.rand(4, 6, 12) < 0.3).float(), torch.arange(4), torch.tensor([5, 12, 3, 8])
    x[0, 0, :5], x[0, 0, 7] = 0, 1
    loss = CountMarginLoss(3, 0, 0)

    def gradients(x, labels, lengths):
        net.zero_grad()
        with padded_(net, lengths, x.shape[-1]):
            spikes = net(x)
        loss.of_batch(spikes, labels, lengths).backward()
        return spikes, [layer.synapse.weight.grad.clone() for layer in net]

    spikes, together = gradients(x, labels, lengths)
    assert spikes[0, :, 5:].any()
    assert all(there.any() for there in (spikes[0, :, :5].sum(-1) == 0, spikes[0, :, :5].sum(-1) > 0))
    alone = [gradients(x[i : i + 1, :, :n], labels[i : i + 1], None)[1] for i, n in enumerate(lengths.tolist())]
    for found, *each in zip(together, *alone, strict=True):
        assert found.any()
        torch.testing.assert_close(found, sum(each) / 4, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("make", [Dense, LateralInhibition])
@pytest.mark.parametrize("gradient", ["hm2bp", "slayer"])
@pytest.mark.parametrize("constant", [False, True])
@pytest.mark.filterwarnings("error:CubaNeuron uses SLAYER's own loops")
def test_neurons_compute_in_float32_under_autocast(make, gradient, constant):
    """Also those that are not called as modules: their states lie on a grid that bfloat16 does not hold."""
    torch.manual_seed(0)
    layer = make({"threshold": 1.0, "current_decay": 0.3, "voltage_decay": 0.1, "gradient": gradient}, 6, 5)
    layer.synapse.weight.data = torch.randint(-8, 12, layer.synapse.weight.shape) / 32  # sums that bfloat16 holds
    x = (torch.rand(4, 6, 30) < 0.5).float()
    x = x[..., :1].expand(x.shape) if constant else x
    found = []
    for autocast in (False, True):
        layer.zero_grad()
        x_ = x.clone().requires_grad_(not constant)
        with neurons_in_float32(layer), torch.autocast("cpu", torch.bfloat16, enabled=autocast):
            spikes = layer(x_)
        (spikes.float() * torch.linspace(-1, 1, 30)).sum().backward()
        found.append((spikes, layer.synapse.weight.grad.clone(), x_.grad))
    assert found[1][0].dtype == torch.float32
    assert torch.equal(found[1][0], found[0][0])
    assert found[0][0].any()
    for mine, wanted in zip(found[1][1:], found[0][1:], strict=True):
        assert (mine is None) == (wanted is None)
        if mine is not None:
            torch.testing.assert_close(mine, wanted, rtol=0.02, atol=0.02 * float(wanted.abs().max()))
