import sys
import warnings
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
import torch

import pumice
import pumice.backends.evaluate
from pumice.backends import get_backend
from pumice.backends import labelled as module
from pumice.backends.evaluate import evaluate
from pumice.backends.fast import FastBackend, batch, count, links
from pumice.errors import CheckFailedError, InputError, PumiceWarning
from pumice.ir import Accumulator, Conv, Cuba, Dense, Graph, Input, Timing, verify_graph, with_reset_schedule
from pumice.ir.builder import chain

evaluation = sys.modules["pumice.backends.evaluate"]  # the package has a function of this name
STEPS = 6


def small(**changes):
    graph = chain((4,), [5, 3], seed=0).replace(timing=Timing(STEPS, STEPS, 0))
    return with_reset_schedule(graph.replace(**changes), STEPS, 1)


def samples(graph, n, seed=0):
    return (np.random.default_rng(seed).random((n, STEPS, *graph.input.shape)) < 0.6).astype(int)


def expected(graph, sample):
    """One sample on the reference, and where each population's part of it lies."""
    timing, lag = graph.timing, pumice.ir.latencies(graph)
    stream = np.zeros((timing.lead_steps + timing.period_steps + max(lag.values()), *graph.input.shape), int)
    stream[timing.lead_steps : timing.lead_steps + timing.sample_steps] = sample
    records = get_backend("reference").run(graph, stream, record=True).records
    window = {name: slice(timing.lead_steps + lag[name], timing.lead_steps + lag[name] + STEPS) for name in records}
    return {name: record.s[window[name]] for name, record in records.items()}


def conv_graph():
    """3 x 4 image, kernel 2 x 3, stride (1, 2), padding (1, 1), with zeros among its weights."""
    weight = np.random.default_rng(0).integers(-1, 3, (2, 2, 3, 1)) * 20
    graph = Graph(
        Input("input", (3, 4, 1)),
        (Cuba("a", (4, 2, 2), vth_mant=30), Cuba("b", (2,), vth_mant=30)),
        (
            Conv("input", "a", weight=weight, stride=(1, 2), padding=(1, 1)),
            Dense("a", "b", weight=np.arange(32).reshape(2, 16) % 3),
        ),
        outputs=("b",),
        timing=Timing(STEPS, STEPS),
    )
    return with_reset_schedule(verify_graph(graph), STEPS, 1)


@pytest.mark.parametrize("graph", [small(), conv_graph()], ids=["dense", "conv"])
def test_counts_and_predictions_are_the_references(graph, monkeypatch):
    monkeypatch.setattr(module, "BATCH_VALUES", 3 * STEPS * graph.input.size)  # batches of 3
    x = samples(graph, 7)
    labels = [0, 1, 0, 1, 0, 1, 0]
    done = []
    result = pumice.evaluate(graph, zip(x, labels, strict=True), progress=done.append)
    assert done == [3, 6, 7]
    answers = [expected(graph, sample) for sample in x]
    last = graph.outputs[0]
    np.testing.assert_array_equal(result.predictions, [np.argmax(a[last].sum(0)) for a in answers])
    assert result.accuracy == np.mean(result.predictions == labels)
    for name in answers[0]:
        np.testing.assert_array_equal(result.spikes[name], [a[name].sum() for a in answers])
    np.testing.assert_array_equal(result.spikes["input"], x.reshape(7, -1).sum(1))
    assert min(counts.sum() for counts in result.spikes.values()) > 0


def test_synaptic_events_are_weights_in_use():
    """Each spike is propagated alone through the reference; every non-zero weight shows as a changed target."""
    graph = conv_graph()
    conv, dense = graph.synapses
    x = samples(graph, 3)
    result = evaluate(graph, zip(x, [0, 0, 0], strict=True))
    by_input = np.zeros(graph.input.shape, int)
    for place in np.ndindex(graph.input.shape):
        one = np.zeros((2, *graph.input.shape), int)
        one[0][place] = 1
        u = get_backend("reference").run(graph.replace(timing=None), one, record=True).records["a"].u[1]
        by_input[place] = np.count_nonzero(u)
    np.testing.assert_array_equal(result.synaptic_events["input -> a"], (x.sum(1) * by_input).reshape(3, -1).sum(1))
    sent = np.stack([expected(graph, sample)["a"].sum(0) for sample in x])
    flat = sent.transpose(0, 3, 2, 1).reshape(3, -1)
    np.testing.assert_array_equal(
        result.synaptic_events["a -> b"], (flat * np.count_nonzero(dense.weight, axis=0)).sum(1)
    )
    assert conv.weight.size > np.count_nonzero(conv.weight)


def read_out(v_decay_q12):
    graph, rng = small(), np.random.default_rng(1)
    to_hidden = replace(graph.synapses[0], weight=rng.integers(-30, 60, (5, 4)) * 2)
    to_out = replace(
        graph.synapses[1], target="out", weight=40 * np.array([[1, -1, 1, -1, 0], [-1, 1, -1, 1, 0], [0, 0, 0, 0, 1]])
    )
    return with_reset_schedule(
        graph.replace(
            populations=(
                replace(graph.populations[0], vth_mant=100),
                Accumulator("out", (3,), v_decay_q12=v_decay_q12),
            ),
            synapses=(to_hidden, to_out),
            outputs=("out",),
        ),
        STEPS,
        1,
    )


@pytest.mark.parametrize(
    ("v_decay_q12", "score"),
    [(0, lambda values: values[-1]), (100, lambda values: values.sum(0)), (4096, lambda values: values.sum(0))],
    ids=["keeps: the last step", "leaks: the sum", "forgets: the sum"],
)
def test_an_accumulator_is_read_as_it_keeps(v_decay_q12, score):
    graph = read_out(v_decay_q12)
    x = samples(graph, 20)
    result = evaluate(graph, zip(x, np.arange(20) % 3, strict=True))
    found = [expected(graph, sample)["out"] for sample in x]
    np.testing.assert_array_equal(result.predictions, [np.argmax(score(values)) for values in found])
    others = {int(np.argmax(values[-1])) != int(np.argmax(values.sum(0))) for values in found}
    assert True in others  # else the two could not be told apart


class Items:
    """Like a torch dataset: a length and items, no iterator."""

    def __len__(self):
        return 2

    def __getitem__(self, index):
        if index > 1:
            raise RuntimeError("past the end")
        return np.full((STEPS, 4), index), index


def test_a_dataset_of_items():
    assert evaluate(small(), Items()).labels.tolist() == [0, 1]


def test_other_backends_are_compared_on_a_stream():
    graph = small()
    x = samples(graph, 5)
    result = evaluate(graph, zip(x, [0] * 5, strict=True), check={"reference": 3})
    assert result.checked == {"reference": 3 * (3 * STEPS + 2) * 8}


@pytest.mark.parametrize("value_range", [(1, 3), (-3, -1)])
def test_between_samples_nothing_comes_whatever_range_was_promised(value_range):
    graph = small()
    graph = graph.replace(input=replace(graph.input, value_range=value_range))
    low, high = value_range
    x = np.random.default_rng(0).integers(low, high + 1, (3, STEPS, 4))
    found = [evaluate(graph, zip(x, [0, 0, 0], strict=True), backend=name) for name in ("fast", "reference")]
    np.testing.assert_array_equal(*(one.spikes["dense1"] for one in found))
    assert evaluate(graph, zip(x, [0, 0, 0], strict=True), check={"reference": 2}).checked["reference"] > 0
    assert pumice.run(graph, np.stack([sample.T for sample in x]), layout="torch").spikes.shape == (3, 3, STEPS)
    with pytest.raises(InputError, match="made for input values"):
        evaluate(graph, [(4 * x[0], 0)])


def test_a_defect_is_found(monkeypatch):
    graph = small()
    x = samples(graph, 3)
    init = links.Link.__init__
    monkeypatch.setattr(links.Link, "__init__", lambda self, s, e, d: init(self, s, e, d + 1))
    with pytest.raises(CheckFailedError, match="backend reference differs from fast: population dense0, step 1"):
        evaluate(graph, zip(x, [0] * 3, strict=True), check={"reference": 3})


def test_samples_that_leak_are_found():
    """Without resets a sample alone is not what it is in a stream."""
    graph = chain((4,), [5, 3], seed=0).replace(timing=Timing(STEPS, STEPS))
    x = samples(graph, 4)
    with pytest.raises(CheckFailedError, match="sample 1 alone differs from sample 1 in a stream"):
        evaluate(graph, zip(x, [0] * 4, strict=True), check={"reference": 4})


@pytest.mark.parametrize(
    ("graph", "pairs", "message"),
    [
        (small(), [], "no sample"),
        (
            small(),
            [(np.zeros((STEPS, 4), int), 0), (np.zeros((STEPS, 5), int), 0)],
            "sample 1: input must have shape",
        ),
        (small(), [(np.zeros((STEPS + 1, 4), int), 0)], "sample 0: a sample of this graph has 6 steps, got 7"),
        (small(), [(np.zeros((STEPS, 4)), 0)], "sample 0: input must be integers"),
        (chain((4,), [3], seed=0), [(np.zeros((STEPS, 4), int), 0)], "states no sample length"),
    ],
)
def test_bad_datasets(graph, pairs, message):
    with pytest.raises(InputError, match=message):
        evaluate(graph, pairs)


def test_it_is_the_fast_backend():
    graph = small()
    x = samples(graph, 4)
    result = evaluate(graph, zip(x, [0] * 4, strict=True))
    padded = np.concatenate([x, np.zeros((4, 2, 4), int)], axis=1)
    counts = FastBackend().run_batch(graph, padded).spikes[:, 2 : 2 + STEPS].sum(1)
    np.testing.assert_array_equal(result.predictions, counts.argmax(1))


@pytest.mark.parametrize(
    ("check", "message"),
    [
        ("lava", r"check must say how many samples a backend runs, as in {'lava': 4}; got 'lava'"),
        ({"quick": 2}, "unknown backend 'quick'"),
        ({"reference": 0}, r"check\['reference'\] must be a number of samples, at least 1, got 0"),
        ({"reference": "all"}, "at least 1, got 'all'"),
    ],
)
def test_what_cannot_be_checked_is_refused_before_the_work(check, message):
    def samples_of_nobody():
        pytest.fail("a sample was asked for")
        yield

    with pytest.raises(InputError, match=message):
        evaluate(small(), samples_of_nobody(), check=check)


@pytest.mark.parametrize("label", ["cat", 1.5, None])
def test_labels_are_integers(label):
    graph = small()
    x = samples(graph, 2)
    with pytest.raises(InputError, match="sample 1: its label must be an integer"):
        evaluate(graph, [(x[0], np.int64(1)), (x[1], label)])


@pytest.mark.parametrize(("readout", "state"), [("voltage", "v"), ("v", "v"), ("current", "u")])
def test_a_state_may_answer(readout, state):
    """Of neurons that never fire, such as those that were trained by their voltage."""
    graph = with_reset_schedule(chain((4,), [8, 6], seed=3).replace(timing=Timing(STEPS, STEPS, 0)), STEPS, 1)
    silent = replace(graph.output, vth_mant=(1 << 17) - 1)
    graph = graph.replace(populations=(*graph.populations[:-1], silent))
    rng = np.random.default_rng(1)
    x = (rng.random((9, STEPS, 4)) < 4 * rng.random((9, 1, 4)) ** 3).astype(int)
    result = evaluate(graph, zip(x, [0] * 9, strict=True), readout=readout, check={"reference": 2})
    assert not result.spikes["dense1"].any()
    timing, lag = graph.timing, pumice.ir.latencies(graph)
    predicted = []
    for sample in x:
        stream = np.zeros((timing.period_steps + max(lag.values()), *graph.input.shape), int)
        stream[:STEPS] = sample
        states = get_backend("reference").run(graph, stream, record=True).records["dense1"].states[state]
        predicted.append(np.argmax(states[lag["dense1"] + STEPS - 1]))
    assert result.predictions.tolist() == predicted
    assert len(set(predicted)) > 1
    sent = evaluate(graph, zip(x, [0] * 9, strict=True), readout="sent").predictions
    assert sent.tolist() == [0] * 9


def test_a_state_that_is_not_there_is_refused():
    with pytest.raises(InputError, match="readout 'potential': the output 'dense1', a Cuba, has the states u, v"):
        evaluate(small(), [], readout="potential")


def test_classes_and_targets_do_not_mix():
    graph = small()
    x = samples(graph, 2)
    with pytest.raises(InputError, match="some samples have a class, others an array of targets"):
        evaluate(graph, [(x[0], 1), (x[1], np.array([0.5, 0.5, 0.5]))])
    with pytest.raises(InputError, match=r"the output answers numbers of shape \(3,\), the targets are \(2,\)"):
        evaluate(graph, [(sample, np.zeros(2)) for sample in x])
    with pytest.raises(InputError, match="targets are compared with what the output sends"):
        evaluate(graph, [(sample, np.zeros(3)) for sample in x], readout="voltage")


@pytest.mark.parametrize("per_step", [False, True])
def test_spikes_answer_targets_by_their_rate(per_step):
    graph = small()
    x = samples(graph, 5)
    sent = np.stack([expected(graph, sample)["dense1"] for sample in x]).swapaxes(1, 2)
    targets = np.random.default_rng(0).random(sent.shape if per_step else sent.shape[:2])
    result = evaluate(graph, list(zip(x, targets, strict=True)))
    np.testing.assert_allclose(result.predictions, sent if per_step else sent.mean(-1))
    assert sent.any()
    wanted = np.square(result.predictions - targets).reshape(5, -1).mean()
    assert result.error == pytest.approx(np.sqrt(wanted))
    halved = evaluate(graph.replace(info={"unit": "0.5"}), list(zip(x, targets, strict=True)))
    np.testing.assert_allclose(halved.predictions, result.predictions / 2)


@pytest.mark.parametrize("label", [2, -1, 7])
def test_a_label_that_the_output_cannot_answer_is_named(label):
    graph = chain((4,), [3, 2], seed=0).replace(timing=Timing(5, 5))
    with pytest.raises(InputError, match=rf"sample 1: its label must lie in 0\.\.1, .* got {label}"):
        evaluate(graph, [(np.ones((5, 4), int), 1), (np.ones((5, 4), int), label)])


def test_a_target_that_is_no_number_is_named():
    graph = chain((4,), [3, 2], seed=0).replace(timing=Timing(5, 5))
    with pytest.raises(InputError, match="sample 0: its target must hold finite numbers"):
        evaluate(graph, [(np.ones((5, 4), int), np.array([0.5, np.nan]))])
    with pytest.raises(InputError, match="its unit is 'much'"):
        evaluate(graph.replace(info={"unit": "much"}), [(np.ones((5, 4), int), np.zeros(2))])


@pytest.mark.parametrize("threads", [0, -1, 1.5])
def test_a_number_of_threads_that_is_none_is_named(threads):
    graph = chain((4,), [3, 2], seed=0).replace(timing=Timing(5, 5))
    with pytest.raises(InputError, match="threads must be an integer, 1 or more"):
        evaluate(graph, [(np.ones((5, 4), int), 1)], threads=threads)


def test_compiling_is_told_and_not_counted(monkeypatch):
    """The first step that is ever simulated takes 100 s of a made-up clock, as if loops were compiled in it."""
    simulate, clock = batch.simulate, [0.0]

    def slow_once(*args, **options):
        clock[0] += 1 if clock[0] else 100
        simulate(*args, **options)

    monkeypatch.setattr(batch, "simulate", slow_once)
    monkeypatch.setattr(count, "simulate", slow_once)
    monkeypatch.setattr(evaluation, "time", SimpleNamespace(perf_counter=lambda: clock[0]))
    graph = small()
    result = evaluate(graph, zip(samples(graph, 3), range(3), strict=True))
    assert (result.prepare_seconds, result.seconds) == (100, 1)


@pytest.mark.parametrize(
    ("dataset", "message"),
    [
        (3, r"a dataset must yield pairs \(stream, label\), .*; got int"),
        ([3], "sample 0: it must be a pair .*, got int"),
        ([(np.ones((5, 4), int), 0), {"x": 1, "y": 2}], "sample 1: it must be a pair .*, got dict"),
        ([(np.ones((5, 4), int),)], "sample 0: it must be a pair .*, got 1 values"),
    ],
)
def test_what_is_no_dataset_is_refused(dataset, message):
    graph = chain((4,), [2], seed=0).replace(timing=Timing(sample_steps=5, period_steps=8))
    with pytest.raises(InputError, match=message):
        evaluate(graph, dataset)


def test_a_tensor_of_which_time_may_be_either_axis_is_announced():
    graph, x = small(), np.zeros((2, STEPS, 4), int)
    square = small().replace(
        input=Input("input", (STEPS,)),
        synapses=(Dense("input", "dense0", weight=np.eye(5, 6, dtype=int)), *small().synapses[1:]),
    )
    with pytest.warns(PumiceWarning, match=r"a tensor of shape \(6, 6\), which may have time first or last"):
        evaluate(square, zip(torch.zeros(2, STEPS, STEPS, dtype=torch.int32), [0, 0], strict=True))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        evaluate(square, zip(np.zeros((2, STEPS, STEPS), int), [0, 0], strict=True))
        evaluate(graph, zip(torch.from_numpy(x), [0, 0], strict=True))
