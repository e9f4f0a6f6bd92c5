"""The battery finds what is wrong around the arithmetic: batches, results, promises, refusals."""

from dataclasses import replace

import numpy as np
import pytest

from pumice.backends.base import AbstractBackend, Record, RunResult
from pumice.backends.reference import ReferenceBackend
from pumice.errors import BackendError
from pumice.ir import Conv, Resonator
from tests.unit.testing.planted import battery_of, failures


class Wrapped(AbstractBackend):
    """The reference behind an interface that has a fault."""

    name = "wrapped"

    def _run(self, graph, x, record):
        return ReferenceBackend()._run(graph, x, record)


class KeepsState(Wrapped):
    def __init__(self):
        self.runs = 0

    def _run(self, graph, x, record):
        self.runs += 1
        return super()._run(graph, np.roll(x, self.runs - 1, axis=0), record)


class AlwaysRecords(Wrapped):
    def _run(self, graph, x, record):
        return super()._run(graph, x, True)


class OnlyTheFirstOutput(Wrapped):
    def _run(self, graph, x, record):
        result = super()._run(graph, x, record)
        return RunResult({graph.outputs[0]: result.spikes}, result.records)


class RunsBatchesBackwards(Wrapped):
    def _run_batch(self, graph, x, record):
        return super()._run_batch(graph, x[::-1], record)


class GoesOnWithTheNextSample(Wrapped):
    def _run_batch(self, graph, x, record):
        n, n_steps = x.shape[:2]
        result = self._run(graph, x.reshape(n * n_steps, *x.shape[2:]), record)
        return RunResult(apart(result.outputs, n), {name: apart(r, n) for name, r in result.records.items()})


def apart(of, n):
    """Arrays of a stream, or its record, as those of n samples."""
    if isinstance(of, Record):
        return Record(apart({"s": of.s}, n)["s"], apart(of.states, n))
    return {name: values.reshape(n, -1, *values.shape[1:]) for name, values in of.items()}


class CountsOneMore(Wrapped):
    def counter(self, graph, wanted):
        right = super().counter(graph, wanted)

        def count(x):
            found = right(x)
            return replace(found, events={name: counts + 1 for name, counts in found.events.items()})

        return count


class ReusesItsResults(Wrapped):
    """As if results were views of one buffer."""

    def __init__(self):
        self.last = None

    def _run(self, graph, x, record):
        result = super()._run(graph, x, record)
        for name, values in result.outputs.items() if self.last else ():
            self.last.outputs[name][: len(values)] = values
        self.last = result
        return result


class ForgetsAfter512Steps(Wrapped):
    def _run(self, graph, x, record):
        result = super()._run(graph, x, record)
        late = super()._run(graph, x[512:], record) if len(x) > 512 else result
        for name, values in result.records.items():
            values.s[512:] = late.records[name].s
        return result


class TrustsSevenBits(Wrapped):
    def _run(self, graph, x, record):
        if graph.input.value_range == (-128, 127):
            x = np.maximum(x, -127)
        return super()._run(graph, x, record)


class TakesBytesForSigned(Wrapped):
    def _run(self, graph, x, record):
        return super()._run(graph, x.astype(np.int8) if graph.input.value_range == (0, 255) else x, record)


class ReadsRowsBackwards(Wrapped):
    def _run(self, graph, x, record):
        return super()._run(graph, x[:, ::-1] if x.ndim == 2 else x, record)


class TakesAnything(Wrapped):
    def run(self, graph, x, *, record=False):
        try:
            return super().run(graph, x, record=record)
        except ValueError:
            return RunResult({})


class ChangesItsInput(Wrapped):
    def run(self, graph, x, *, record=False):
        result = super().run(graph, x, record=record)
        x[:] = 0
        return result


class LeaksSamples(Wrapped):
    """The spikes of one sample move into the next one's first step."""

    def _run(self, graph, x, record):
        result = super()._run(graph, x, record)
        if graph.timing is not None:
            result.outputs[graph.outputs[0]][graph.timing.period_steps :] += 1
        return result


@pytest.mark.parametrize(
    ("make", "test"),
    [
        (KeepsState, "test_a_backend_keeps_nothing_between_runs"),
        (AlwaysRecords, "test_what_a_run_returns"),
        (OnlyTheFirstOutput, "test_what_a_run_returns"),
        (TakesAnything, "test_bad_input_is_refused"),
        (ChangesItsInput, "test_a_backend_keeps_nothing_between_runs"),
        (LeaksSamples, "test_samples_back_to_back"),
        (RunsBatchesBackwards, "test_a_batch"),
        (GoesOnWithTheNextSample, "test_a_batch"),
        (CountsOneMore, "test_a_batch"),
        (ReusesItsResults, "test_a_backend_keeps_nothing_between_runs"),
        (ForgetsAfter512Steps, "test_a_long_stream"),
        (TrustsSevenBits, "test_what_the_input_promises values"),
        (TakesBytesForSigned, "test_what_the_input_promises bytes of one dimension"),
        (ReadsRowsBackwards, "test_what_the_input_promises bytes of one dimension"),
    ],
)
def test_faults_around_the_arithmetic_are_found(make, test):
    assert test in failures(battery_of(make), test.partition(" ")[0])


class NoResonators(Wrapped):
    def _run(self, graph, x, record):
        if any(isinstance(p, Resonator) for p in graph.populations):
            raise BackendError("no resonators here")
        return super()._run(graph, x, record)


def test_a_kind_that_is_unsupported_must_be_refused():
    assert failures(battery_of(NoResonators, {Resonator})) == {}
    assert set(failures(battery_of(NoResonators))) >= {"test_equals_the_reference populations"}
    quiet = failures(battery_of(Wrapped, {Resonator}))
    assert list(quiet) == ["test_what_is_unsupported_is_refused"]
    assert "must raise BackendError" in quiet["test_what_is_unsupported_is_refused"]


def test_what_no_case_needs_cannot_be_opted_out_of():
    found = failures(battery_of(Wrapped, {"no such case"}))
    assert "no such case" in found["test_what_is_unsupported_is_refused"]


def test_a_single_case_can_be_opted_out_of():
    class NoLongDelays(Wrapped):
        def _run(self, graph, x, record):
            if any(s.max_delay_steps == 62 and isinstance(s, Conv) for s in graph.synapses):
                raise BackendError("too long")
            return super()._run(graph, x, record)

    assert failures(battery_of(NoLongDelays, {"conv_longest_delay"})) == {}
