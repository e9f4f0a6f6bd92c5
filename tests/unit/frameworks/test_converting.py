import dataclasses

import pytest
import torch
from torch import nn

import pumice
from pumice.errors import InputError, InternalError
from pumice.frameworks.converting import convert
from pumice.nn import TDBN


def louder(network, by=4.0):
    """Weights at which layers fire."""
    with torch.no_grad():
        for part in network.modules():
            if isinstance(part, (nn.Linear, nn.Conv2d)):
                part.weight *= by
            if isinstance(part, nn.BatchNorm2d):
                part.running_mean.normal_(0, 0.3)
                part.running_var.uniform_(0.3, 1.5)
                part.weight.uniform_(0.5, 1.5)
                part.bias.normal_(0, 0.3)
    return network.eval()


class Loop(nn.Module):
    """A forward that has the loop over steps, with a skip of its own."""

    def __init__(self, toy):
        super().__init__()
        self.fc1, self.lif1 = nn.Linear(6, 8), toy.Lif(0.9)
        self.fc2, self.fc3, self.lif2 = nn.Linear(8, 5), nn.Linear(6, 5, bias=False), toy.Lif(0.7, 1.5, gain=0.5)

    def forward(self, x):
        out = []
        for step in x:
            out.append(self.lif2(self.fc2(self.lif1(self.fc1(step))) + self.fc3(step)))
        return torch.stack(out).mean(0)


def same(found, network, x, toy):
    got = found(x)
    expected = toy.run(network, x)
    assert expected.any()
    assert torch.equal(got, expected)


def test_dense_layers(toy, spikes):
    network = louder(nn.Sequential(nn.Linear(6, 8), toy.Lif(), nn.Dropout(), nn.Linear(8, 4), toy.Lif(0.5, 0.7)))
    same(convert(network, spikes(5, 6), toy.framework, approximate=False), network, spikes(5, 6, 20), toy)


def test_a_forward_that_has_the_loop(toy, spikes):
    network = louder(Loop(toy), 5)
    found = convert(network, spikes(9, 3, 6), toy.framework, approximate=False)
    assert found.outputs == ("lif2",)
    x = spikes(3, 6, 12)
    toy.to_rest(network)
    with torch.no_grad():
        expected = network(x.movedim(-1, 0))
    assert torch.equal(found(x).mean(-1), expected)
    assert expected.any()


def test_images_with_norms_and_pools(toy, spikes):
    network = louder(
        nn.Sequential(
            *(nn.Conv2d(2, 4, 3, padding=1), nn.BatchNorm2d(4), toy.Lif(0.8), nn.AvgPool2d(2)),
            *(nn.Conv2d(4, 6, 3, padding=1, stride=2, groups=2), nn.AvgPool2d(2), toy.Lif(0.5, gain=2.0)),
            *(nn.MaxPool2d(2, stride=1), nn.Flatten(), nn.Linear(6, 3), toy.Lif(0.9, 0.5)),
        ),
        3,
    )
    found = convert(network, spikes(2, 2, 16, 16), toy.framework, approximate=False)
    same(found, network, spikes(2, 2, 16, 16, 10), toy)
    assert "max pooling takes 6x1x1 neurons" in found.report
    assert sum(isinstance(part, TDBN) for part in found.modules()) == 1


def test_a_pool_between_an_image_and_a_linear(toy, spikes):
    network = louder(
        nn.Sequential(nn.Conv2d(1, 3, 3), toy.Lif(), nn.AvgPool2d(2), nn.Flatten(), nn.Linear(12, 4), toy.Lif()), 6
    )
    found = convert(network, spikes(2, 1, 7, 7), toy.framework, approximate=False)
    same(found, network, spikes(2, 1, 7, 7, 10), toy)


class Residual(nn.Module):
    def __init__(self, toy):
        super().__init__()
        self.conv1, self.lif1 = nn.Conv2d(2, 4, 3, padding=1), toy.Lif()
        self.conv2, self.norm, self.lif2 = nn.Conv2d(4, 4, 3, padding=1), nn.BatchNorm2d(4), toy.Lif(0.6)

    def forward(self, x):
        first = self.lif1(self.conv1(x))
        return self.lif2(self.norm(self.conv2(first)) + first)


def test_a_residual_block(toy, spikes):
    network = louder(Residual(toy))
    found = convert(network, spikes(2, 2, 6, 6), toy.framework, approximate=False)
    same(found, network, spikes(2, 2, 6, 6, 10), toy)


def test_a_last_linear_is_read_out(toy, spikes):
    network = louder(nn.Sequential(nn.Linear(6, 8), toy.Lif(), nn.Linear(8, 3)))
    found = convert(network, spikes(4, 6), toy.framework, approximate=False)
    x = spikes(4, 6, 9)
    torch.testing.assert_close(found(x), toy.run(network, x))


def test_neurons_that_never_fire_are_read_out(toy, spikes):
    network = louder(nn.Sequential(nn.Linear(6, 8), toy.Lif(), nn.Linear(8, 3), toy.Lif(0.75, gain=0.5, fires=False)))
    found = convert(network, spikes(4, 6), toy.framework, approximate=False)
    x = spikes(4, 6, 9)
    torch.testing.assert_close(found(x), toy.run(network, x))


def test_thresholds_and_decays_of_each_neuron(toy, spikes):
    lif = toy.Lif(torch.rand(8), 0.5 + torch.rand(8))
    network = louder(nn.Sequential(nn.Linear(6, 8), lif))
    same(convert(network, spikes(5, 6), toy.framework, approximate=False), network, spikes(5, 6, 20), toy)


def test_it_trains_quantizes_and_lowers(toy, spikes):
    network = louder(
        nn.Sequential(
            *(nn.Conv2d(1, 3, 3), nn.BatchNorm2d(3), toy.Lif(), nn.MaxPool2d(2)),
            *(nn.Flatten(), nn.Linear(12, 4), toy.Lif(gain=0.5)),
        ),
        3,
    )
    found = convert(network, spikes(2, 1, 6, 6), toy.framework, approximate=False)
    x = spikes(2, 1, 6, 6, 8)
    found.train()(x).sum().backward()
    assert all(
        p.grad is not None and p.grad.any()
        for name, p in found.named_parameters()
        if p.requires_grad and "weight" in name
    )
    graph = pumice.lower(found.eval(), x)
    assert torch.equal(found(x), found(x))
    assert graph.latency == 3


def test_the_users_network_stays_as_it_was(toy, spikes):
    network = nn.Sequential(nn.Linear(6, 8), nn.BatchNorm1d(8), toy.Lif()).train()
    network[1].eval()
    before = {name: tensor.clone() for name, tensor in network.state_dict().items()}
    convert(network, spikes(5, 6), toy.framework, approximate=False)
    assert [part.training for part in network] == [True, False, True]
    assert all(torch.equal(before[name], tensor) for name, tensor in network.state_dict().items())
    assert network[2].v is None
    assert not network[0]._forward_hooks


@pytest.mark.parametrize(
    "planted",
    [
        {"voltage_decay": 0.35},
        {"threshold": 1.3},
        {"gain": 1.2},
        {"current_decay": 0.7},
        {"fires_at_threshold": True},
    ],
)
def test_what_is_read_otherwise_than_it_computes_is_seen(toy, spikes, planted):
    """The planted defect of every adapter: one number is wrong."""

    def read(path, module):
        found = toy.read(path, module)
        return found and dataclasses.replace(found, **planted)

    network = louder(nn.Sequential(nn.Linear(6, 8), toy.Lif(0.5)))
    framework = dataclasses.replace(toy.framework, neuron=read)
    if "fires_at_threshold" in planted:  # a tie is rounding, to the comparison; it is counted
        network = nn.Sequential(nn.Linear(6, 8, bias=False), toy.Lif(1.0))
        with torch.no_grad():
            network[0].weight.fill_(0.25)
        assert "1: 0 of" not in convert(network, spikes(5, 6), framework, approximate=False).report
        return
    with pytest.raises(InternalError, match="layers 1 give other spikes"):
        convert(network, spikes(80, 6), framework, approximate=False)


def test_a_soft_reset_is_refused_or_counted(toy, spikes):
    network = louder(nn.Sequential(nn.Linear(6, 8), toy.Lif(0.9, soft=True)))
    with pytest.raises(
        InputError, match=r"module '1': its reset must be to 0, got a subtraction; .*approximate=True"
    ):
        convert(network, spikes(5, 6), toy.framework, approximate=False)
    report = convert(network, spikes(5, 6), toy.framework, approximate=True).report
    assert "Only nearly the same" in report
    assert "1: 0 of" not in report


def test_a_network_that_writes_into_its_input(toy, spikes):
    class Doubles(nn.Sequential):
        def forward(self, x):
            x *= 2
            return super().forward(x)

    network, x = louder(Doubles(nn.Linear(6, 8), toy.Lif())), spikes(5, 6)
    report = convert(network, x, toy.framework, approximate=False).report
    assert torch.equal(x, spikes(5, 6))
    assert "1: 0 of" in report


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda t: nn.Sequential(nn.Linear(6, 4), nn.ReLU(), t.Lif()), "module '2': what enters must .* got relu"),
        (
            lambda t: nn.Sequential(nn.Linear(6, 4), nn.ReLU(inplace=True), t.Lif()),
            "module '2': what enters must .* got relu in the forward of '1'",
        ),
        (
            lambda t: nn.Sequential(nn.Linear(6, 4), t.Lif(), nn.ReLU(True)),
            "module '1': its spikes must stay as",
        ),
        (lambda t: nn.Sequential(nn.Linear(6, 4), t.Odd(), t.Lif()), r"module '1': layers .*got toy.layers.Odd"),
        (
            lambda t: nn.Sequential(nn.Linear(6, 4), nn.BatchNorm1d(4), nn.Linear(4, 4), t.Lif()),
            "module '2': two layers must have neurons",
        ),
        (lambda t: nn.Sequential(nn.Linear(6, 4), nn.BatchNorm1d(4), nn.BatchNorm1d(4), t.Lif()), "'2': one norm"),
        (
            lambda t: nn.Sequential(nn.Linear(6, 4), t.Lif(fires=False), nn.Linear(4, 2), t.Lif()),
            "module '1': .*a voltage that never fires .by '2'",
        ),
        (
            lambda t: nn.Sequential(nn.Linear(6, 4), t.Lif(torch.rand(3))),
            "voltage_decay must be one number or one per",
        ),
        (lambda t: nn.Linear(6, 4), "must hold neurons of toy, got none"),
    ],
)
def test_what_has_no_equal_is_refused_by_name(toy, spikes, make, message):
    network = make(toy)
    if "rand" in message or "one per" in message:
        network[1].forward = lambda x: x  # torch would refuse three decays of four neurons first
    with pytest.raises(InputError, match=message):
        convert(network, spikes(5, 6), toy.framework, approximate=False)


def test_arguments_are_checked(toy, spikes):
    with pytest.raises(InputError, match=r"takes a torch.nn.Module, got str"):
        convert("network", spikes(1, 6), toy.framework, approximate=False)
    with pytest.raises(InputError, match="example must be a tensor"):
        convert(nn.Sequential(toy.Lif()), "x", toy.framework, approximate=False)


class Halved(nn.Module):
    """Its input is scaled in front of its first layer."""

    def __init__(self, lif):
        super().__init__()
        self.fc, self.lif = nn.Linear(6, 4), lif

    def forward(self, x):
        return self.lif(self.fc(x.float().flatten(1) / 2))


def test_what_is_computed_of_the_input_stays_outside_and_is_said(toy, spikes):
    report = convert(Halved(toy.Lif()), spikes(5, 6), toy.framework, approximate=False).report
    assert "Not in this network: what the module computes of its input before its first layer (div)" in report
    plain = nn.Sequential(nn.Flatten(), nn.Linear(6, 4), toy.Lif())
    assert "Not in this network" not in convert(plain, spikes(5, 6), toy.framework, approximate=False).report


class Clamped(nn.Linear):
    """A forward of its own."""

    def forward(self, x):
        return super().forward(x).clamp(max=1.0)


def test_layers_with_a_forward_of_their_own_are_looked_into(toy):
    network = nn.Sequential(Clamped(6, 4), toy.Lif())  # zeros do not show it
    with pytest.raises(InputError, match="got linear of 3 tensors in the forward of '0'"):
        convert(network, torch.zeros(1, 6), toy.framework, approximate=False)


@pytest.mark.parametrize("kind", ["forward_hook", "forward_pre_hook"])
def test_hooks_that_change_a_tensor_are_refused_and_others_may_stay(toy, kind):
    network = nn.Sequential(nn.Linear(6, 4), toy.Lif())
    seen = []
    getattr(network[0], f"register_{kind}")(lambda module, *values: seen.append(values))
    convert(network, torch.zeros(1, 6), toy.framework, approximate=False)
    assert seen
    getattr(network[0], f"register_{kind}")(lambda module, *values: torch.zeros_like(values[-1][0]))
    with pytest.raises(InputError, match="its part '0' changes what"):
        convert(network, torch.zeros(1, 6), toy.framework, approximate=False)


def test_spikes_of_an_earlier_step_are_refused(toy, spikes):
    class Feedback(nn.Module):
        def __init__(self):
            super().__init__()
            self.fc, self.back, self.lif = nn.Linear(6, 4), nn.Linear(4, 4), toy.Lif()

        def forward(self, x):
            s = None
            for step in x:
                s = self.lif(self.fc(step) if s is None else self.fc(step) + self.back(s))
            return s

    with pytest.raises(InputError, match=r"module 'lif': .*of an earlier"):
        convert(Feedback(), spikes(4, 2, 6), toy.framework, approximate=False)
