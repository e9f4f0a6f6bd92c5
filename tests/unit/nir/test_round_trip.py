"""What goes out as NIR comes back: random graphs, resets, clocks, names."""

# ruff: noqa: PLR0917 -- fixtures

from dataclasses import replace

import h5py
import numpy as np
import pytest

from pumice import PumiceError, from_nir
from pumice.ir import Cuba, Dense, Timing, graph_digests, remembers
from pumice.ir.schedule import is_autonomous
from pumice.nir.exporting import draw
from pumice.passes.order import run_passes
from pumice.testing.motifs import random_graph

N, T, DT = 3, 30, 1e-4
HALF, ALL = 2048, 4096


def simplified(graph, rng):
    """Without what rounds, wraps or acts before the first input: all that remains is exact in floating point."""
    delayed = any(s.max_delay_steps or s.is_recurrent for s in graph.synapses)
    populations = []
    for p in graph.populations:
        decays = {"i_decay_q12": int(rng.choice([ALL, ALL, 0])), "v_decay_q12": int(rng.choice([0, ALL]))}
        bias = 0 if delayed else np.clip(p.bias_mant, -99, 99)
        bias = bias if np.size(bias) == 1 or decays["v_decay_q12"] or len(p.shape) == 1 else bias.reshape(-1)[0]
        fires = {"vth_mant": p.vth_mant % 10} if isinstance(p, Cuba) else {}
        populations.append(replace(p, **decays, bias_mant=bias, bias_exp=min(p.bias_exp, 6), reset=None, **fires))
    synapses = []
    for s in graph.synapses:
        small = {f: np.clip(getattr(s, f), -9, 9) for f in ("weight", "values") if hasattr(s, f)}
        small |= {"weight_exp": s.weight_exp % 2} if hasattr(s, "weight_exp") else {}
        synapses.append(replace(s, graded=False, **small))
    entering = replace(graph.input, value_range=(0, 1))
    return graph.replace(input=entering, populations=tuple(populations), synapses=tuple(synapses))


def test_random_graphs_of_every_form_give_the_same_spikes(simulate, spikes, compared, difference, exported_or_why):
    kinds, fired = set(), 0
    for seed in range(60):
        rng = np.random.default_rng(seed)
        graph = random_graph(rng, 1, 5)
        if remembers(graph):
            continue
        graph = simplified(graph, rng)
        path = exported_or_why(graph)
        if isinstance(path, str):
            assert "is a loop over several populations" in path, seed
            continue
        x = spikes(1, 12, *graph.input.shape[::-1])
        expected, got = simulate(path, x, dt=DT), compared(graph, x)
        assert not difference(expected, got).any(), seed
        fired += np.any(got)
        kinds |= {type(s).__name__ for s in graph.synapses}
    assert kinds == {"Conv", "ConvTranspose", "Dense", "Direct", "OneToOne", "Sparse", "TokenMixing"}
    assert fired > 15


def expressible(graph):
    """Values that are read are multiplied, and no population has neurons with and without a decay."""
    values = {p.name for p in graph.populations if p.sends_values}
    values |= {graph.input.name} if graph.input.value_range != (0, 1) else set()
    populations = []
    for p in graph.populations:
        fields = [f for f in ("i_decay_q12", "v_decay_q12") if np.ndim(getattr(p, f, 0))]
        fields += ["v_decay_q12"] if np.ndim(getattr(p, "bias_mant", 0)) else []
        populations.append(replace(p, **{f: np.maximum(getattr(p, f), 1) for f in fields}))
    synapses = tuple(replace(s, graded=s.graded or s.source in values) for s in graph.synapses)
    return graph.replace(populations=tuple(populations), synapses=synapses)


def test_random_graphs_come_back_as_they_were_or_are_refused(exported_or_why):
    back = 0
    for seed in range(50):
        graph = expressible(random_graph(np.random.default_rng(seed), 1, 12))
        graph = graph.replace(info={"seed": str(seed)}, timing=Timing(5, 8, 3) if seed % 2 else None)
        path = exported_or_why(graph)
        if isinstance(path, str):
            names = [p.name for p in graph.populations]
            assert any(repr(n) in path or f" {n}" in path for n in names), path
            assert names[0].split("_")[1] in ("loop", "changes", "resonators"), (seed, path)
            continue
        found = from_nir(path)
        assert graph_digests(found) == graph_digests(graph), seed
        assert found.info == graph.info
        back += 1
    assert back > 30


@pytest.mark.parametrize("steps", [None, T])
def test_resets_and_clocks_come_back_and_a_simulator_needs_none(steps, exported, simulate, run_graph, spikes, m):
    graph = m.network(
        (6,),
        (m.cuba(v=HALF), [m.dense(5, 6, delay_steps=np.array([0, 3, 1, 0, 0, 2])), m.dense(5, 5, "a")]),
        (m.cuba("b", v=HALF), [m.dense(5, 5, seed=2)]),
    )
    graph = graph if steps is None else run_passes(graph, steps)
    path, x = exported(graph), spikes(N, T, 6)
    assert not [name for name in draw(graph, DT).nodes if "clock" in name]
    np.testing.assert_array_equal(simulate(path, x, dt=DT), run_graph(graph, x))
    assert graph_digests(from_nir(path)) == graph_digests(graph)


def test_a_clock_that_fires_always_is_a_constant_input(exported, simulate, run_graph, spikes, m):
    clock = Cuba("clock", (1,), vth_mant=0, bias_mant=1)
    synapses = [m.fine(5, 6), Dense("clock", "", weight=30 * np.arange(5)[:, None])]
    graph = m.network((6,), (m.cuba(vth=777, i=HALF, v=HALF), synapses))
    graph = graph.replace(populations=(clock, *graph.populations))
    path, x = exported(graph), spikes(N, T, 6)
    got = run_graph(graph, x)
    np.testing.assert_array_equal(simulate(path, x, dt=DT), got)
    without = exported(graph.replace(synapses=graph.synapses[:1]))
    assert np.any(simulate(without, x, dt=DT) != got)


def test_names_that_meet(exported, simulate, run_graph, spikes, m):
    graph = m.network(
        (6,),
        (m.cuba("a"), [m.dense(5, 6)]),
        (m.cuba("output_2"), [m.dense(5, 5)]),
        (m.cuba("output"), [m.dense(5, 5)]),
    )
    path, x = exported(graph), spikes(N, T, 6)
    assert {"output", "output_2", "output_3"} <= draw(graph, DT).nodes.keys()
    np.testing.assert_array_equal(simulate(path, x, dt=DT), run_graph(graph, x))
    assert graph_digests(from_nir(path)) == graph_digests(graph)


def test_each_name_is_one_member_of_the_file(exported, m):
    """HDF5 makes a folder of a slash, and the nir package cannot read such a node."""
    for seed in range(6):
        graph = expressible(random_graph(np.random.default_rng(seed), 1, 6))
        if remembers(graph):
            continue
        with h5py.File(exported(graph)) as file:
            members = {name: "type" in group for name, group in file["node/nodes"].items()}
            ends = {name.decode() for edge in file["node/edges"][()] for name in edge}
        assert all(members.values())
        assert ends == {*members}
        assert {graph.input.name, *(p.name for p in graph.populations if not is_autonomous(graph, p))} <= {*members}


def test_the_order_of_nodes_and_edges_means_nothing(exported, tmp_path, m):
    graph = m.network(
        (6,), (m.cuba("z"), [m.dense(5, 6)]), (m.cuba("a"), [m.dense(5, 5), m.dense(5, 6, "input", balance_steps=1)])
    )
    path = exported(graph)
    names = [*draw(graph, DT).nodes]
    assert names.index("z") < names.index("a")
    with h5py.File(path) as file, h5py.File(tmp_path / "b.nir", "w", track_order=True) as other:
        file.copy("version", other)
        node = other.create_group("node", track_order=True)
        for part in ("type", "metadata"):
            file.copy(f"node/{part}", node)
        node["edges"] = file["node/edges"][()][::-1]
        nodes = node.create_group("nodes", track_order=True)
        for name in reversed([*file["node/nodes"]]):
            file.copy(f"node/nodes/{name}", nodes)
    found = from_nir(tmp_path / "b.nir")
    assert graph_digests(found) == graph_digests(graph)
    assert "nir_report" not in found.info  # it is believed to be ours, unchanged
    with h5py.File(tmp_path / "b.nir", "a") as other:
        del other["node/metadata"]
    assert [p.name for p in from_nir(tmp_path / "b.nir").populations] == ["z", "a"]


def test_a_name_with_a_slash_is_refused_before_a_file_is_made(exported, tmp_path, m):
    with pytest.raises(PumiceError, match="must not hold / or"):
        exported(m.network((6,), (m.cuba("a/b"), [m.dense(5, 6)])))
    assert not [*tmp_path.iterdir()]
