"""A digest changes with whatever a graph says, and with nothing else."""

import hashlib
from dataclasses import fields, replace

import numpy as np
import pytest

from pumice.errors import GraphError
from pumice.ir import Conv, Cuba, Dense, Graph, Input, OneToOne, Reset, Sparse, Timing, graph_digests
from pumice.ir.digest import first_changed_part, part_names
from pumice.testing.battery import GROUPS, packed

SHAPE = (2, 3, 4)


def every_graph():
    """The battery's graphs: each kind of population and synapse, with numbers and arrays in every place."""
    return {name: packed(make_cases()) for name, (make_cases, _) in GROUPS.items()}


def stored_otherwise(value, n):
    """The same numbers in another integer type and memory order."""
    if not isinstance(value, np.ndarray):
        return np.int32(value) if type(value) is int else value
    wide = np.zeros((2 * len(value), *value.shape[1:]), [np.int16, np.int32, np.int64][n % 3], order="F")
    wide[::2] = value
    return wide[::2]


@pytest.mark.parametrize("name", GROUPS)
def test_types_and_memory_order_do_not_count(name):
    graph = every_graph()[name]

    def other(part, n):
        numbers = {f.name: stored_otherwise(getattr(part, f.name), n) for f in fields(part) if f.name != "graded"}
        return replace(part, **numbers)

    same = graph.replace(
        populations=tuple(other(p, n) for n, p in enumerate(graph.populations)),
        synapses=tuple(other(s, n) for n, s in enumerate(graph.synapses))[::-1],
    )
    assert graph_digests(same) == graph_digests(graph)


def changed(value):
    """Another value of the same sort."""
    if value is None or isinstance(value, bool):
        return (0, 1) if value is None else not value
    if isinstance(value, Reset):
        return replace(value, offset=value.offset + 1)
    if isinstance(value, tuple):
        return (value[0] + 1, *value[1:])
    if isinstance(value, str):
        return value + "x"
    other = np.array(value)
    other[(-1,) * other.ndim] += 1  # the last place of all
    return other


def around(graph, population):
    """It and what it hears, without the rest of the graph, and their digests."""
    into = tuple(graph.into(population.name))
    heard = {population.name, *(s.source for s in into)}
    kept = tuple(p for p in graph.populations if p.name in heard)
    part = graph.replace(populations=kept, synapses=into, outputs=(population.name,))
    return part, graph_digests(part)


@pytest.mark.parametrize("name", GROUPS)
def test_every_field_of_every_population_and_synapse_counts(name):
    whole = every_graph()[name]
    for p in whole.populations:
        graph, before = around(whole, p)
        index = graph.populations.index(p)
        for f in fields(p):
            unheard = f.name == "bias_exp" and not np.any(p.bias_mant)  # the exponent of no bias
            if f.name in ("name", "shape") or unheard or np.size(getattr(p, f.name)) == 0:
                continue
            new = Reset(3) if f.name == "reset" and p.reset is None else changed(getattr(p, f.name))
            populations = [*graph.populations]
            populations[index] = replace(p, **{f.name: new})
            after = graph_digests(graph.replace(populations=tuple(populations)))
            assert first_changed_part(before, after) == f"population {p.name}", f"{p.name}.{f.name}"
        for index, s in enumerate(graph.synapses):
            for f in fields(s):
                if f.name in ("source", "target") or np.size(getattr(s, f.name)) == 0:
                    continue
                synapses = [*graph.synapses]
                synapses[index] = replace(s, **{f.name: changed(getattr(s, f.name))})
                after = graph_digests(graph.replace(synapses=tuple(synapses)))
                assert first_changed_part(before, after) == f"the synapses into {s.target}", f"{s.target}.{f.name}"


def small():
    a = Cuba("a", SHAPE, 9, i_decay_q12=7, bias_mant=3)
    b = Cuba("b", (24,), 9)
    into = OneToOne("in", "a", weight=2, delay_steps=3), Dense("a", "b", weight=np.eye(24, dtype=int), delay_steps=1)
    return Graph(Input("in", SHAPE, (0, 5)), (a, b), into, ("b",), Timing(5, 8, 1))


@pytest.mark.parametrize(
    ("changes", "part"),
    [
        ({"input": Input("in", SHAPE, (0, 6))}, "the input"),
        ({"input": Input("in", SHAPE)}, "the input"),
        ({"outputs": ("b", "a")}, "the outputs"),
        ({"timing": None}, "the timing"),
        ({"timing": Timing(5, 8, 2)}, "the timing"),
        ({"populations": small().populations[::-1]}, "the order of populations"),
        ({"populations": (*small().populations, Cuba("c", (1,), 1))}, "the order of populations"),
        ({"synapses": small().synapses * 2}, "the synapses into a"),
        ({"synapses": small().synapses[:1]}, "the synapses into b"),
    ],
)
def test_the_first_part_that_differs_is_named(changes, part):
    assert first_changed_part(graph_digests(small()), graph_digests(small().replace(**changes))) == part


def test_info_and_the_certificate_do_not_count():
    assert graph_digests(small().replace(info={"a": "b"})) == graph_digests(small())


@pytest.mark.parametrize("shape", [(), (4,), (3, 4), (1, 4), (2, 1, 1), SHAPE])
def test_what_is_the_same_everywhere_may_be_one_number(shape):
    a, b = small().populations
    other = replace(a, i_decay_q12=np.full(shape, 7), bias_mant=np.full(SHAPE, 3))
    assert graph_digests(small().replace(populations=(other, b))) == graph_digests(small())


def test_so_may_weights_and_delays_where_they_are_the_same():
    into, between = small().synapses
    for weight, delays in [(np.full(4, 2), 3), (np.full(SHAPE, 2), np.full(4, 3))]:
        other = replace(into, weight=weight, delay_steps=delays)
        assert graph_digests(small().replace(synapses=(other, between))) == graph_digests(small())
    for delays in (np.ones(24, int), np.ones((24, 24), np.int8)):
        other = replace(between, delay_steps=delays, target_channels=(0, 24))
        assert graph_digests(small().replace(synapses=(into, other))) == graph_digests(small())


def test_parameters_along_different_axes_are_different():
    def of(delays):
        s = Dense("in", "a", weight=np.ones((4, 4), int), delay_steps=delays)
        return graph_digests(Graph(Input("in", (4,)), (Cuba("a", (4,), 1),), (s,), ("a",)))

    rows = np.arange(4)
    assert of(rows) == of(np.tile(rows, (4, 1))) != of(np.tile(rows, (4, 1)).T)


def test_kernels_of_the_same_value_but_other_size_are_different():
    def of(kernel, padding):
        s = Conv("in", "a", weight=np.ones((4, *kernel, 4), int), padding=padding)
        return graph_digests(Graph(Input("in", SHAPE), (Cuba("a", SHAPE, 1),), (s,), ("a",)))

    assert of((1, 1), (1, 1)) != of((3, 3), (1, 1))


def test_all_numbers_count_where_there_are_many(monkeypatch):
    monkeypatch.setattr("pumice.ir.digest.CHUNK", 7)
    values = np.arange(40)
    places = {"rows": values, "columns": values}
    ends = Input("in", (40,)), (Cuba("a", (40,), 1),)

    def of(weights):
        return graph_digests(Graph(*ends, (Sparse("in", "a", **places, values=weights),), ("a",)))

    assert all(of(values) != of(values + (values == n)) for n in range(40))


def test_an_unknown_kind_has_no_digest():
    class Odd(Cuba):
        pass

    with pytest.raises(GraphError, match="population a: unknown kind Odd; known: Cuba"):
        _ = graph_digests(small().replace(populations=(Odd("a", SHAPE, 9), small().populations[1])))


def test_digests_stay_what_they_are():
    """They are in files: a graph has the same ones for ever."""
    found = graph_digests(small())
    assert [*found] == part_names(small())
    assert (
        hashlib.sha256("".join(found.values()).encode()).hexdigest()
        == "5361a4b1f36e55b0c78f70f7d246d3732d1cfc250761bd1d6471fd5befaa78f7"
    )
