"""A backend of one's own is used as the package's are, and samples go in as PyTorch lays them out."""

import sys
import textwrap

import numpy as np
import pytest
import torch

import pumice
from pumice import nn
from pumice.backends import AbstractBackend, RunResult, get_backend
from pumice.backends.reference import ReferenceBackend
from pumice.errors import BackendError, CheckFailedError, InputError
from pumice.ir import Timing
from pumice.ir.builder import chain

LIF = {"threshold": 1.0, "current_decay": 1.0, "voltage_decay": 0.25}


class Mine(AbstractBackend):
    name = "mine"

    def _run(self, graph, x, record):
        return ReferenceBackend()._run(graph, x, record)


class Wrong(Mine):
    name = "wrong"

    def _run(self, graph, x, record):
        result = super()._run(graph, x, record)
        next(iter(result.outputs.values()))[-1] ^= 1
        for values in result.records.values():
            values.s[-1] ^= 1
        return result


@pytest.fixture
def graph():
    made = chain((4,), [3, 2], seed=0).replace(timing=Timing(sample_steps=5, period_steps=8))
    return pumice.certify(made, np.ones((8, 4), int))


@pytest.mark.parametrize(
    "backend", [Mine(), Mine, "fast", get_backend("fast")], ids=["object", "class", "name", "ours"]
)
def test_run_verify_and_evaluate_take_a_backend(graph, backend):
    x = np.ones((9, 4), int)
    assert np.array_equal(pumice.run(graph, x, backend=backend).spikes, get_backend("reference").run(graph, x).spikes)
    assert len(pumice.verify(graph, backend)) == len(pumice.verify(graph, [backend])) == 1
    result = pumice.evaluate(graph, [(np.ones((5, 4), int), 0)], check={backend: 1})
    assert list(result.checked) == [get_backend(backend).name]


class Nameless(AbstractBackend):
    def _run(self, graph, x, record):
        return ReferenceBackend()._run(graph, x, record)


class Nothing(Mine):
    def _run(self, graph, x, record):
        return None


class Forgetful(Mine):
    def _run(self, graph, x, record):
        result = super()._run(graph, x, record)
        return RunResult({name: spikes[:-1] for name, spikes in result.outputs.items()}, result.records)


class Silent(Mine):
    def _run(self, graph, x, record):
        return RunResult(super()._run(graph, x, record).outputs)


def test_a_backend_without_a_name_is_refused(graph):
    with pytest.raises(InputError, match=r"backend Nameless has no name; write name = \"\.\.\.\" into its class"):
        pumice.verify(graph, Nameless)


@pytest.mark.parametrize(
    ("backend", "message"),
    [
        (Nothing, "backend mine must give a RunResult, got NoneType"),
        (Forgetful, r"backend mine must give output 'dense1' with shape \(.*\), got shape"),
        (Silent, r"backend mine must give u of 'dense0' with shape \(.*\), got nothing"),
    ],
)
def test_what_a_backend_forgets_is_named(graph, backend, message):
    """A step that is missing at the end had been taken for silence."""
    x = torch.ones(2, 4, 5)
    for use in (
        lambda: pumice.run(graph, x, backend=backend, record=True),
        lambda: pumice.verify(graph, backend),
        lambda: pumice.evaluate(graph, [(np.ones((5, 4), int), 0)], backend=backend),
    ):
        with pytest.raises(BackendError, match=message):
            use()


def test_a_wrong_backend_of_ones_own_is_found(graph):
    with pytest.raises(CheckFailedError, match="backend wrong differs"):
        pumice.verify(graph, Wrong())
    with pytest.raises(CheckFailedError, match="backend wrong differs from fast"):
        pumice.evaluate(graph, [(np.ones((5, 4), int), 0)], check={Wrong(): 1})


@pytest.fixture
def module(tmp_path, monkeypatch):
    (tmp_path / "my_backends.py").write_text(
        textwrap.dedent("""
        from pumice.backends.fast import FastBackend

        class Mine(FastBackend):
            name = "mine"

        number = 3
        """)
    )
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [p for p in sys.path if p])
    yield
    sys.modules.pop("my_backends", None)


def test_a_backend_is_named_by_its_module(graph, module):
    assert pumice.verify(graph, "my_backends:Mine").keys() == {"mine"}


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("fats", r"unknown backend 'fats'; did you mean 'fast'\?.*of your own"),
        ("my_backends:Theirs", "my_backends.py holds no 'Theirs'"),
        ("my_backends:number", "a backend is a name"),
        ("none_of_mine:Mine", "there is no module 'none_of_mine'; it is looked for where Python looks, and in"),
        ("my backends:Mine", r'is named "package\.module:object"'),
        (3, "a backend is a name .*got 3"),
    ],
)
def test_what_is_no_backend_is_refused(graph, module, name, message):
    with pytest.raises(InputError, match=message):
        pumice.run(graph, np.ones((3, 4), int), backend=name)


def test_a_module_that_does_not_import_says_why(graph, module, tmp_path):
    (tmp_path / "broken_backends.py").write_text("import no_such_package_at_all")
    with pytest.raises(InputError, match="importing broken_backends fails: No module named 'no_such_package_at_all'"):
        get_backend("broken_backends:Mine")


@pytest.mark.parametrize("backend", ["reference", "fast"])
def test_samples_as_pytorch_lays_them_out(backend):
    torch.manual_seed(0)
    model = torch.nn.Sequential(
        nn.Conv(LIF, 2, 3, 3, padding=1, weight_scale=4), nn.Flatten(), nn.Dense(LIF, 48, 5, weight_scale=4)
    )
    x = torch.randint(0, 3, (3, 2, 4, 4, 7), generator=torch.Generator().manual_seed(0)).float()
    graph = pumice.lower(model, x)
    result = pumice.run(graph, x, backend=backend, record=True)
    assert torch.equal(result.spikes, model(x))
    assert result.spikes.any()
    assert torch.equal(result.records[graph.populations[0].name].s, model[0](x))
    as_array = pumice.run(graph, x.numpy(), layout="torch", backend=backend).spikes
    assert as_array.dtype == np.int32
    assert np.array_equal(as_array, result.spikes.numpy())
    certified = pumice.certify(graph, x[:1])
    assert pumice.verify(certified, backend)


def test_samples_that_do_not_fit_are_refused(graph):
    with pytest.raises(InputError, match="samples hold fractions"):
        pumice.run(graph, torch.full((1, 4, 5), 0.5))
    with pytest.raises(InputError, match=r"samples in PyTorch's layout .* got \(4, 5\)"):
        pumice.run(graph, torch.ones(4, 5))
    with pytest.raises(InputError, match='layout must be "torch" or "lava", got \'pytorch\''):
        pumice.run(graph, np.ones((4, 5)), layout="pytorch")
    with pytest.raises(InputError, match="states no sample length"):
        pumice.run(chain((4,), [2], seed=0), torch.ones(1, 4, 5))
    with pytest.raises(InputError, match=r"at least one sample is needed, .* \(0, 4, 5\)"):
        pumice.run(graph, torch.ones(0, 4, 5))
    with pytest.raises(InputError, match="samples must be whole numbers, got complex64"):
        pumice.run(graph, torch.ones(1, 4, 5) + 0j)


@pytest.mark.parametrize("use", [pumice.run, pumice.certify])
@pytest.mark.parametrize(
    ("given", "message"),
    [(torch.nn.Identity(), "got a model"), ("a.net", "pumice.load reads"), (3, "a Graph is needed, got int")],
)
def test_samples_need_a_graph(use, given, message):
    with pytest.raises(InputError, match=message):
        use(given, torch.ones(1, 4, 5))


def test_a_certificate_of_no_sample_is_refused(graph):
    with pytest.raises(InputError, match="at least one sample is needed"):
        pumice.certify(graph, torch.ones(0, 4, 5))


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("value", [float("nan"), float("inf"), -float("inf"), 1e30])
def test_numbers_that_no_integer_is_are_one_error(graph, value):
    with pytest.raises(InputError, match="samples hold fractions, or values beyond 32 bits"):
        pumice.run(graph, torch.full((1, 4, 5), value))


def test_tensors_of_every_kind_hold_samples(graph):
    x = (torch.rand(2, 4, 5, generator=torch.Generator().manual_seed(0)) < 0.5).float()
    expected = pumice.run(graph, x).spikes
    for same in (x.bfloat16(), x.half(), x.double(), x.int(), x.bool(), x.to_sparse(), x.clone().requires_grad_()):
        assert torch.equal(pumice.run(graph, same).spikes, expected)


@pytest.mark.parametrize("record", [["dense0"], "dense0", None, 1])
def test_record_is_true_or_false(graph, record):
    for run in (pumice.run, get_backend("fast").run):
        with pytest.raises(InputError, match="record must be True, for every population, or False, got"):
            run(graph, np.ones((8, 4), int), record=record)
    with pytest.raises(InputError, match="record must be True"):
        get_backend("fast").run_batch(graph, np.ones((1, 8, 4), int), record=record)


def test_a_batch_is_told_where_to_go(graph):
    said = r"shape \(T, 4\), got \(2, 5, 4\); a batch goes in sample by sample, or .* layout=\"torch\""
    with pytest.raises(InputError, match=said):
        pumice.run(graph, np.ones((2, 5, 4), int))
    loader = torch.utils.data.DataLoader([(np.ones((5, 4), int), 0)] * 2, batch_size=2)
    with pytest.raises(InputError, match=f"sample 0: .*{said}"):
        pumice.evaluate(graph, loader)


def test_axes_in_pytorchs_order_are_told(graph):
    with pytest.raises(
        InputError, match=r"shape \(T, 4\), got \(4, 9\); time is last there, .* numpy.asarray\(x\).T$"
    ):
        pumice.run(graph, np.ones((4, 9), int))
    with pytest.raises(InputError, match=r"sample 0: input must have shape \(T, 4\), got \(4, 5\); time is last"):
        pumice.evaluate(graph, [(torch.ones(4, 5, dtype=torch.int32), 0)])
