import inspect
import os
import subprocess
import sys
from pathlib import Path

import pytest

import pumice.cli
from pumice.errors import CheckFailedError, InternalError
from pumice.pipeline import run_pipeline
from pumice.testing import audit
from pumice.train import train


@pytest.mark.parametrize("line", ["inspect --bogus", "nothing", "run", "run a.net --steps many", "verify"])
def test_wrong_use_is_the_users_fault(refused, line):
    assert refused(line)


@pytest.mark.parametrize("line", ["--help", "run --help", "verify --help", "inspect --help", ""])
def test_help(command, line):
    code, out, _ = command(line)
    assert code == 0
    assert "Usage: pumice" in out


@pytest.mark.parametrize(
    ("error", "code", "text"),
    [
        (CheckFailedError("neuron 3 differs"), 1, "pumice: error: neuron 3 differs\n"),
        (InternalError("lost"), 3, "pumice: error: lost (this is a bug in pumice; please report it)\n"),
        (ZeroDivisionError("by 0"), 3, "pumice: error: ZeroDivisionError: by 0 (this is a bug in pumice"),
        (MemoryError(), 2, "pumice: error: not enough memory\n"),
        (KeyboardInterrupt(), 2, "pumice: error: interrupted\n"),
    ],
)
def test_exit_codes(command, net, monkeypatch, *, error, code, text):
    inside = {"error": error}
    exec("def fail(*args, **kwargs): raise error", inside)  # of no file, as what is compiled within pumice

    monkeypatch.setattr(sys.modules["pumice.cli.inspect"], "summarize", inside["fail"])
    found, _, err = command("inspect a.net")
    assert found == code
    assert text in err


def test_every_command_is_listed_once():
    assert {"run", "verify", "inspect"} <= set(pumice.cli.COMMANDS)


FUNCTIONS = {
    "run": pumice.run,
    "evaluate": pumice.evaluate,
    "plan": pumice.plan,
    "report": pumice.report,
    "import": pumice.from_nir,
    "export": pumice.to_nir,
    "metrics": pumice.metrics,
    "audit": audit,
    "train": train,
    "demo": run_pipeline,
}


@pytest.mark.parametrize("name", FUNCTIONS)
def test_defaults_are_the_librarys(name):
    """What an option leaves to the library, None, it says nothing of."""
    options, own = (inspect.signature(f).parameters for f in (pumice.cli.COMMANDS[name], FUNCTIONS[name]))
    shared = {n: (options[n].default, own[n].default) for n in options if n in own}
    told = {n: pair for n, pair in shared.items() if None not in pair}
    assert shared
    assert {n: a for n, (a, b) in told.items() if a != getattr(b, "value", b)} == {}


def test_commands_work_without_torch_and_lava(net, request):
    """Of `evaluate` the seconds that it takes depend on it, also where the network names its data.

    scipy is hidden from it: numba looks which there is, and some versions load much of it then.
    """
    trained = request.config.rootpath / "netx_exports/digits/network.net"
    program = (
        "import sys; from pumice.cli import main; "
        "loaded = lambda *names: [name for name in names if name in sys.modules]; "
        "print(main(['inspect', sys.argv[1], '--json']), loaded('torch', 'lava', 'scipy', 'sklearn')); "
        "sys.modules['scipy'] = None; "
        "print(main(['evaluate', sys.argv[2], '--samples', '2']), "
        "loaded('torch', 'lava', 'sklearn', 'lightning_fabric', 'matplotlib'))"
    )
    files = map(str, (net, trained))
    done = subprocess.run([sys.executable, "-c", program, *files], capture_output=True, text=True, check=True)
    assert [line for line in done.stdout.splitlines() if line.startswith("0 ")] == ["0 []", "0 []"]


def test_the_installed_program(net, run_warm, tmp_path):
    program = "from pumice.cli import entry_point; entry_point()"
    done = run_warm(program, "inspect", f"{net}x", folder=tmp_path, timeout=120)
    assert done.returncode == 2
    assert done.stderr == f"pumice: error: {net}x: No such file or directory\n"


def test_the_version(command):
    assert command("--version") == (0, f"pumice {pumice.__version__}\n", "")


def test_as_a_module(run_warm, tmp_path):
    program = "import runpy; runpy.run_module('pumice', run_name='__main__', alter_sys=True)"  # python -m pumice
    done = run_warm(program, "--version", folder=tmp_path, timeout=120)
    assert (done.returncode, done.stdout) == (0, f"pumice {pumice.__version__}\n")


@pytest.mark.parametrize("character", ["\0", "\ud800"])
@pytest.mark.parametrize(
    "arguments",
    [
        ["inspect", "a{}.net"],
        ["run", "a.net", "--input", "a{}.net", "-o", "y.npz"],
        ["lower", "a{}.net", "-o", "a.net"],
        ["train", "digits", "-o", "a{}.net"],
        ["new", "a{}.net"],
        ["a{}.net"],
    ],
)
def test_arguments_that_no_system_gives(capsys, arguments, character):
    assert pumice.cli.main([argument.format(character) for argument in arguments]) == 2
    assert (
        capsys.readouterr().err
        == f"pumice: error: {f'a{character}.net'!r}: holds {character!r}, which no path may hold\n"
    )


@pytest.mark.parametrize(
    "arguments",
    [
        ["inspect", "/dev/zero"],
        ["run", "a.net", "--input", "/dev/zero", "-o", "y.npz"],
        ["evaluate", "a.net", "--data", "/dev/zero"],
        ["plan", "a.net", "--constants", "/dev/zero"],
        ["evaluate", "a.net", "--data", "x.npz", "--threads", "-1"],
    ],
)
def test_arguments_that_are_no_files_or_numbers(net, tmp_path, monkeypatch, capsys, arguments):
    monkeypatch.chdir(tmp_path)
    assert pumice.cli.main(arguments) == 2
    assert "bug" not in capsys.readouterr().err


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="a disk that is always full is Linux's")
@pytest.mark.parametrize("more", ["", " --json", " --help"])  # a table, a line that waits until the end, typer
def test_results_that_find_no_room(net, more):
    with Path("/dev/full").open("w", encoding="utf-8") as full:
        done = ended(["inspect", str(net), *more.split()], full)
    found = done.returncode, done.stderr
    assert found == (2, "pumice: error: standard output: cannot be written (No space left on device)\n")


@pytest.mark.parametrize("more", ["", " --json", " --help"])
def test_a_reader_that_has_gone_is_no_check_that_failed(net, more):
    reading, writing = os.pipe()
    os.close(reading)
    done = ended(["inspect", str(net), *more.split()], writing)
    os.close(writing)
    assert (done.returncode, done.stderr) == (2, "")


def ended(arguments, stdout):
    """The command line with a standard output of its own."""
    line = [sys.executable, "-m", "pumice", *arguments]
    return subprocess.run(line, stdout=stdout, stderr=subprocess.PIPE, text=True, check=False, timeout=120)
