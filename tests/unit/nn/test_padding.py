"""Padded steps: what counts, and that norms, rates and surrogates see nothing of the others."""

import pytest
import torch

from pumice import nn
from pumice.nn.padding import end_to_end, mean_over_steps, own_steps, padded_, sum_over_steps, without_padding
from pumice.nn.probes.firing import watch_firing

LENGTHS = torch.tensor([3, 6, 1, 4])
STEPS = 6


def ragged(channels=2, *, image=False):
    """Samples of unequal length, with large numbers behind their ends, and each alone."""
    rng = torch.Generator().manual_seed(0)
    shape = (channels, 2, 3) if image else (channels,)
    samples = [torch.randn(1, *shape, int(n), generator=rng) + 2 for n in LENGTHS]
    x = torch.full((len(samples), *shape, STEPS), 1e3)
    for index, sample in enumerate(samples):
        x[index, ..., : sample.shape[-1]] = sample[0]
    return x, samples


def test_sums_means_and_masks():
    x, samples = ragged()
    for index, sample in enumerate(samples):
        assert torch.allclose(sum_over_steps(x, LENGTHS)[index], sample[0].sum(-1))
        assert torch.allclose(mean_over_steps(x, LENGTHS)[index], sample[0].mean(-1))
    assert own_steps(LENGTHS, STEPS).sum(1).tolist() == LENGTHS.tolist()
    assert float(without_padding(x, LENGTHS).max()) < 1e3
    assert torch.equal(end_to_end(x, LENGTHS)[0], torch.cat([s[0] for s in samples], -1))
    assert without_padding(x, None) is end_to_end(x, None) is x


@pytest.mark.parametrize("lengths", [None, torch.tensor([301, 300])])
def test_counts_beyond_what_half_precision_holds(lengths):
    """As of spikes that come in autocast's type: 300 and 301 are one number in bfloat16."""
    spikes = torch.ones(2, 1, 301)
    for dtype in (torch.bfloat16, torch.float16, torch.bool, torch.uint8):
        assert torch.equal(sum_over_steps(spikes.to(dtype), lengths), sum_over_steps(spikes, lengths))
    means = mean_over_steps(spikes.to(torch.bfloat16) / 3, lengths)
    assert means.dtype == torch.float32
    torch.testing.assert_close(means, torch.full((2, 1), 1 / 3), rtol=2**-8, atol=0)


@pytest.mark.parametrize("image", [False, True])
@pytest.mark.parametrize("kind", [nn.TDBN, nn.BiasFreeNorm])
def test_a_norms_statistics_are_those_of_the_own_steps_alone(kind, image):
    x, samples = ragged(image=image)
    padded, alone = kind(2, threshold=1.0), kind(2, threshold=1.0)
    with padded_(padded, LENGTHS, STEPS):
        y = padded(x.requires_grad_())
    packed = torch.cat(samples, -1).requires_grad_()  # as one sample: the statistics are over samples and steps alike
    expected = alone(packed)
    torch.testing.assert_close(end_to_end(y, LENGTHS), expected, rtol=1e-4, atol=1e-4)
    torch.testing.assert_close(padded.running_mean, alone.running_mean)
    torch.testing.assert_close(padded.running_var, alone.running_var, rtol=1e-4, atol=1e-5)
    end_to_end(y, LENGTHS).square().sum().backward()
    expected.square().sum().backward()
    torch.testing.assert_close(end_to_end(x.grad, LENGTHS), packed.grad, rtol=1e-3, atol=1e-3)
    assert not without_padding(x.grad, LENGTHS).ne(x.grad).any()
    torch.testing.assert_close(padded.scale.grad, alone.scale.grad, rtol=1e-4, atol=1e-3)
    assert padded.own_steps is None


@pytest.mark.parametrize("kind", [nn.TDBN, nn.BiasFreeNorm])
def test_a_norm_that_sees_one_step_at_a_time_counts_those_that_are_not_over(kind):
    """Four samples are in step 0, three in steps 1 and 2, two in step 3, one in steps 4 and 5; twice in a row."""
    x, samples = ragged()
    norm, alone = kind(2, threshold=1.0), kind(2, threshold=1.0)
    with padded_(norm, LENGTHS, STEPS):
        for _ in range(2):
            for step in range(STEPS):
                own = torch.cat([s[..., step : step + 1] for s in samples if step < s.shape[-1]])
                y = norm(x[..., step : step + 1])[step < LENGTHS]
                if len(own) > 1:
                    torch.testing.assert_close(y, alone(own), rtol=1e-4, atol=1e-4)
                else:  # one value says nothing of a variance: the running estimates do
                    torch.testing.assert_close(y, alone.eval()(own), rtol=1e-4, atol=1e-4)
                    alone.train()
    torch.testing.assert_close(norm.running_mean, alone.running_mean)
    torch.testing.assert_close(norm.running_var, alone.running_var)


def test_a_recurrent_blocks_norm_sees_nothing_behind_the_end():
    torch.manual_seed(0)
    block = nn.Recurrent({"threshold": 0.5, "current_decay": 1.0, "voltage_decay": 0.5, "norm": nn.TDBN}, 2, 3)
    x, _ = ragged()
    seen = []
    for behind in (0.0, 50.0, 1e3):
        block.neuron.norm.running_mean.zero_()
        with padded_(block, LENGTHS, STEPS):
            block(torch.where(own_steps(LENGTHS, STEPS)[:, None], x, behind))
        seen.append(block.neuron.norm.running_mean.clone())
    assert torch.equal(seen[0], seen[1])
    assert torch.equal(seen[0], seen[2])
    block(x)
    assert not torch.equal(block.neuron.norm.running_mean, seen[0])  # without `padded_` it does


def test_firing_rates_leave_padding_out():
    block = nn.Dense({"threshold": 0.5, "current_decay": 1.0, "voltage_decay": 1.0}, 1, 1)
    block.synapse.weight.data.fill_(1.0)
    x = torch.zeros(2, 1, 4)
    x[0, :, 2:] = 1.0  # fires behind its end only
    x[1] = 1.0
    with watch_firing(torch.nn.Sequential(block)) as firing:
        firing.lengths = torch.tensor([2, 4])
        block(x)
    assert firing.rates() == {"0": 4 / 6}
    assert firing.latest["0"].shape == (1, 1, 6)


def test_surrogates_average_over_own_steps():
    torch.manual_seed(0)
    module = nn.SurrogateModule(2, tokens=6, n_classes=3).eval()
    x, samples = ragged(image=True)
    with padded_(module, LENGTHS, STEPS):
        logits = module(x)
    for index, sample in enumerate(samples):
        torch.testing.assert_close(logits[index], module(sample)[0])
