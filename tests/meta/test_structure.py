"""Where things stand: tests beside what they test, imports at the top, files of a size to be read, no cycles."""

import ast
import importlib
import sys
from functools import cache
from itertools import chain
from pathlib import Path

import pytest

import pumice

ROOT = Path(__file__).parents[2]
SRC, UNIT = Path(pumice.__file__).parent, ROOT / "tests/unit"
MOST_LINES = 350
MOST_LEVELS = 11

TOPICS = {
    "backends/test_doors.py": "backends of a user's own, through every door",
    "backends/test_reference_kinds.py": "each kind of population and synapse by hand",
    "cli/test_cli.py": "all commands: help, exit codes, errors",
    "cli/test_train_folder.py": "train, lower, verify from a folder of one's own",
    "cli/test_train_image_folder.py": "the ImageNet recipes, from images in files",
    "cli/test_train_stmixer.py": "the same for a mixer",
    "data/test_event_folders.py": "the event datasets that are folders",
    "frameworks/test_branches.py": "sums, concatenations and products of layers, and layers along rows",
    "frameworks/test_recurrence.py": "layers that receive their own spikes",
    "ir/test_verify_kinds.py": "verify_graph on each kind",
    "lowering/test_chip.py": "networks that no core holds",
    "lowering/test_outputs.py": "what a model returns",
    "lowering/test_residual.py": "networks with branches",
    "lowering/test_shapes.py": "unusual shapes",
    "lowering/test_stmixer.py": "networks of residual streams",
    "models/test_bad_input.py": "arguments that make no network",
    "netx/test_bad_files.py": "damaged and hostile files",
    "netx/test_budgets.py": "files that ask for more than they hold",
    "netx/test_sealed.py": "files that changed at rest",
    "netx/test_certificate.py": "certificates in files",
    "netx/test_fuzz.py": "random mutants",
    "netx/test_graph_form.py": "the graph form",
    "netx/test_values.py": "every value at its ends",
    "nir/test_files.py": "files that other tools wrote",
    "nir/test_refusals.py": "graphs that NIR cannot say",
    "nir/test_float_models.py": "models before quantization, written",
    "nir/test_training.py": "files as models that train",
    "nir/test_round_trip.py": "what goes out and comes back",
    "nn/blocks/test_mixers.py": "token and channel mixers",
    "nn/neurons/test_cuba_deployed.py": "CubaNeuron, quantized",
    "nn/neurons/test_cuba_fused.py": "CubaNeuron's compiled loops",
    "nn/synapses/test_products.py": "all products and convolutions against an integer judge",
    "nn/synapses/test_sums_that_wrap.py": "sums beyond 24 bits",
    "nn/test_bad_input.py": "arguments that make no block",
    "nn/test_compile.py": "torch.compile, export, vmap",
    "nn/test_non_finite.py": "NaN and infinity",
    "nn/test_state.py": "copies and checkpoints of every block",
    "passes/test_names.py": "names of what passes add",
    "pipeline/test_readout.py": "answers by numbers",
    "testing/test_battery_interface.py": "what the battery finds around a backend's arithmetic",
    "testing/test_documentation.py": "the battery as its documentation says",
    "reporting/test_browser.py": "the page in a browser",
    "test_scripts.py": "scripts/",
    "train/losses/test_losses.py": "all losses",
    "train/test_doors.py": "networks, losses, optimisers ... of one's own",
    "train/test_events.py": "training on events",
    "train/test_extend.py": "finished runs, best epochs, gradients",
    "train/test_targets.py": "numbers as answers",
    "train/test_stmixer_presets.py": "the recipes of Spiking Token Mixers, to the chip's integers",
    "train/test_unequal_lengths.py": "padding behind samples of unequal length",
    "train/test_surrogate_choice.py": "the recipe's surrogate",
}
"""Tests about several modules; every other file is about the module or package of its name."""

OPTIONAL = {
    *("torchvision", "PIL", "sklearn", "matplotlib", "lightning_fabric", "torch"),
    *("lz4", "zstandard", "optuna", "submitit"),
}
"""Packages of an extra, which only some functions of a module need."""


@cache
def modules():
    found = {}
    for path in SRC.rglob("*.py"):
        parts = ("pumice", *path.relative_to(SRC).with_suffix("").parts)
        found[".".join(parts).removesuffix(".__init__")] = ast.parse(path.read_text())
    return found


def executed(tree):
    """Statements that are executed when the module is imported: of no function, and not for type checkers only."""
    ahead = [tree]
    while ahead:
        node = ahead.pop()
        if isinstance(node, ast.FunctionDef) or (isinstance(node, ast.If) and "TYPE_CHECKING" in ast.dump(node.test)):
            continue
        yield node
        ahead += (part for part in ast.iter_child_nodes(node) if not isinstance(part, ast.expr))


def imported(name, tree):
    """Modules of pumice that a module imports when it is imported itself."""
    for node in executed(tree):
        if isinstance(node, ast.ImportFrom) and node.module and node.module.startswith("pumice"):
            wanted = (f"{node.module}.{alias.name}" for alias in node.names)
            yield from (full if full in modules() else node.module for full in wanted)
        elif isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names if alias.name in modules())


@cache
def graph():
    return {name: {m for m in imported(name, tree) if m != name} for name, tree in modules().items()}


def levels(edges):
    """The longest chain of imports below each node; a cycle raises."""
    found, under_way = {}, []

    def level(node):
        if node in under_way:
            raise AssertionError(f"imports in a circle: {' -> '.join([*under_way[under_way.index(node) :], node])}")
        if node not in found:
            under_way.append(node)
            found[node] = 1 + max(map(level, edges[node]), default=0)
            under_way.pop()
        return found[node]

    return {node: level(node) for node in edges}


def test_no_module_imports_itself_by_way_of_others():
    levels(graph())


def test_packages_are_few_levels_high():
    def package(name):
        return ".".join(name.split(".")[:2])

    edges = {}
    for name, used in graph().items():
        edges.setdefault(package(name), set()).update({package(m) for m in used} - {package(name)})
    assert max(levels(edges).values()) <= MOST_LEVELS


def test_a_planted_cycle_is_seen():
    with pytest.raises(AssertionError, match="a -> b -> a"):
        levels({"a": {"b"}, "b": {"a"}})


def test_no_file_is_too_long():
    lines = {str(path.relative_to(ROOT)): len(path.read_text().splitlines()) for path in SRC.rglob("*.py")}
    assert {file: n for file, n in lines.items() if n > MOST_LINES} == {}


def test_each_test_stands_where_its_subject_does():
    names = {path.relative_to(SRC).with_suffix("") for path in SRC.rglob("*.py")}
    names |= {path.parent.relative_to(SRC) for path in SRC.rglob("__init__.py")}
    stray = []
    for path in UNIT.rglob("test_*.py"):
        place = path.relative_to(UNIT)
        is_of_a_module = place.parent / place.stem.removeprefix("test_") in names
        if is_of_a_module == (place.as_posix() in TOPICS):
            stray.append(place.as_posix())
    assert not stray, "neither a module's or package's name nor in TOPICS, or in both"
    assert not [topic for topic in TOPICS if not (UNIT / topic).exists()]


def test_each_package_has_tests():
    packages = {path.parent.relative_to(SRC) for path in SRC.rglob("__init__.py")} - {Path()}
    elsewhere = {  # with their package's
        *("backends/reference", "backends/fast/kernels", "backends/fast/links", "ir/synapses", "train/recipe"),
        *("train/recipe/presets", "train/runtime", "cli/template", "nn/surrogate", "ir/populations"),
    }
    tested = {package for package in packages if any((UNIT / package).rglob("test_*.py"))}
    tested |= {package for package in packages if (UNIT / package.parent / f"test_{package.name}.py").exists()}
    missing = {package.as_posix() for package in packages - tested}
    assert missing <= elsewhere
    for package in elsewhere:
        place = Path(package)
        while not any((UNIT / place).glob("test_*.py")):
            place = place.parent
        assert place != Path(), package


def functions_imports():
    """(module, function, name of what it imports) of all imports inside functions."""
    for name, tree in modules().items():
        for function in (node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef)):
            for node in ast.walk(function):
                if isinstance(node, ast.Import):
                    yield from ((name, function.name, alias.name) for alias in node.names)
                elif isinstance(node, ast.ImportFrom):
                    yield name, function.name, node.module


def test_functions_import_only_what_may_be_missing():
    """Or, in the commands, what would make `pumice --help` wait; `lava_compat` repairs modules while they load."""
    wrong = [
        (module, function, what)
        for module, function, what in functions_imports()
        if what.partition(".")[0] not in OPTIONAL
        and not (module.startswith("pumice.cli") and what.startswith("pumice"))
        and module != "pumice.lava_compat"
    ]
    assert not wrong


@pytest.mark.skipif(sys.version_info < (3, 11), reason="tomllib")
def test_what_may_be_missing_is_in_an_extra():

    tomllib = importlib.import_module("tomllib")
    extras = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["optional-dependencies"]
    listed = " ".join(chain.from_iterable(extras.values()))
    distributions = {"PIL": "pillow", "sklearn": "scikit-learn", "lightning_fabric": "lightning-fabric"}
    assert all(distributions.get(name, name) in listed for name in OPTIONAL)


def test_compiled_loops_come_from_pumice_jit():
    """numba's own `njit` fails where its cache cannot be written or is damaged."""
    users = {
        name
        for name, tree in modules().items()
        for node in ast.walk(tree)
        if isinstance(node, ast.ImportFrom) and node.module == "numba" and any(a.name == "njit" for a in node.names)
    }
    assert users == set()


def test_compiled_loops_are_of_names_of_their_own_folder():
    """What is compiled is compiled anew when a file of its folder changes, see `pumice.jit`."""
    wrong = []
    for name, tree in modules().items():
        folder = name.rpartition(".")[0]
        foreign = {
            alias.asname or alias.name
            for node in tree.body
            if isinstance(node, ast.ImportFrom) and node.module.startswith("pumice.")
            for alias in node.names
            if node.module.rpartition(".")[0] != folder
        }
        for function in (node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef)):
            if any("njit" in ast.dump(decorator) for decorator in function.decorator_list):
                inside = {node.id for part in function.body for node in ast.walk(part) if isinstance(node, ast.Name)}
                wrong += [(name, function.name, used) for used in inside & foreign]
    assert wrong == []
