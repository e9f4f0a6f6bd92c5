"""The command line: each command parses, makes one library call and prints.

Exit codes: 0 done, 1 a check failed, 2 the user's input or environment is at fault, 3 a bug of pumice.
"""

from __future__ import annotations

import errno
import os
import sys
import traceback
import warnings
from collections.abc import Callable
from contextlib import suppress
from functools import cache
from typing import Annotated, Any, TextIO

import typer
import typer.main

import pumice
from pumice.cli.audit import audit
from pumice.cli.blame import own_code_that_raised
from pumice.cli.demo import demo
from pumice.cli.doctor import doctor
from pumice.cli.evaluate import evaluate
from pumice.cli.export_nir import export_nir
from pumice.cli.import_nir import import_nir
from pumice.cli.inspect import inspect
from pumice.cli.install_lava import install_lava
from pumice.cli.lower import lower
from pumice.cli.metrics import metrics
from pumice.cli.new import new
from pumice.cli.plan import plan
from pumice.cli.report import report
from pumice.cli.run import run
from pumice.cli.sweep import sweep
from pumice.cli.train import train
from pumice.cli.verify import verify
from pumice.errors import BackendError, PumiceError, PumiceWarning
from pumice.files.paths import possible_path

# One line per command: name -> function.
COMMANDS: dict[str, Callable[..., None]] = {
    "demo": demo,
    "new": new,
    "train": train,
    "sweep": sweep,
    "lower": lower,
    "import": import_nir,
    "export": export_nir,
    "run": run,
    "verify": verify,
    "evaluate": evaluate,
    "inspect": inspect,
    "metrics": metrics,
    "plan": plan,
    "report": report,
    "audit": audit,
    "doctor": doctor,
    "install-lava": install_lava,
}

INTERRUPTED = 130
_NO_ROOM = {errno.ENOSPC, errno.EFBIG, errno.EDQUOT}
# Unknown options, missing arguments and the like; newer typer brings a click of its own, so click's are no use.
_USAGE_ERRORS: Any = typer.BadParameter.__bases__


def _print_version(wanted: bool) -> None:
    if wanted:
        print(f"pumice {pumice.__version__}")
        raise typer.Exit


def _options(
    *,
    version: Annotated[
        bool, typer.Option("--version", callback=_print_version, is_eager=True, help="Print the version.")
    ] = False,
) -> None:
    pass


@cache  # reading the signatures of all commands takes longer than some of them
def _command() -> Any:
    app = typer.Typer(
        help="Deep spiking networks: trained with SLAYER, run on Lava and Loihi 2, spike for spike the same.",
        add_completion=True,
        pretty_exceptions_enable=False,
        rich_markup_mode=None,
    )
    app.callback()(_options)
    for name, function in COMMANDS.items():
        app.command(name)(function)
    return typer.main.get_command(app)


def main(argv: list[str] | None = None) -> int:
    """Run one command.

    Args:
        argv: Arguments without the program's name; by default those of this process.

    Returns:
        The exit code.

    Example:
        >>> main(["inspect", "nowhere.net"])  # one line on stderr
        2
    """
    code = _run(sys.argv[1:] if argv is None else argv)
    try:
        if sys.stdout is not None:
            sys.stdout.flush()  # here, where a full disk can be reported
    except OSError as error:
        with suppress(OSError, ValueError):  # Python flushes again when it ends
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return code or _lost(error)
    return code


def _run(arguments: list[str]) -> int:
    with warnings.catch_warnings():
        warnings.simplefilter("always", PumiceWarning)
        warnings.showwarning = _show_warning
        try:
            for argument in arguments:
                possible_path(argument)  # click's own look at others ends in an error
            code = _command().main(args=arguments or ["--help"], prog_name="pumice", standalone_mode=False)
        except _USAGE_ERRORS as error:
            return _fail(_one_line(error.format_message()), 2)
        except PumiceError as error:
            # A backend's message ends with its child's traceback, which is for reading.
            return _fail(str(error) if isinstance(error, BackendError) else _one_line(str(error)), error.exit_code)
        except (KeyboardInterrupt, typer.Abort):
            return _fail("interrupted", 2)
        except MemoryError:
            return _fail("not enough memory", 2)
        except SystemExit as error:  # how typer ends when nobody reads what is printed any more
            if not isinstance(error.__context__, BrokenPipeError):
                raise
            code = _lost(error.__context__)
        except Exception as error:
            return _unexpected(error)
    # typer turns ctrl-C into a code of its own.
    return _fail("interrupted", 2) if code == INTERRUPTED else int(code or 0)


def entry_point() -> None:
    """What the installed program `pumice` calls."""
    sys.exit(main())


def _fail(message: str, code: int) -> int:
    print(f"pumice: error: {message}", file=sys.stderr)
    return code


def _unexpected(error: Exception) -> int:
    """Exit code for an error of no family of pumice's: a full disk, or a bug of the user's or of pumice."""
    if isinstance(error, OSError) and error.errno in _NO_ROOM:
        return _lost(error)
    traceback.print_exc()
    place = own_code_that_raised(error)
    whose = f"{place}: your own code, not pumice's" if place else "this is a bug in pumice; please report it"
    return _fail(f"{type(error).__name__}: {error} ({whose})", 2 if place else 3)


def _lost(error: OSError) -> int:
    """Exit code of a command whose results could not be written. Whoever closed the pipe, as `head`, knows."""
    if isinstance(error, BrokenPipeError):
        return 2
    return _fail(f"{error.filename or 'standard output'}: cannot be written ({error.strerror})", 2)


def _one_line(message: str) -> str:
    first, *rest = [line.strip() for line in message.splitlines() if line.strip()] or ["no message"]
    return f"{first} {'; '.join(rest)}" if rest else first


_show_other = warnings.showwarning


def _show_warning(  # noqa: PLR0917
    message: Warning | str,
    category: type[Warning],
    filename: str,
    lineno: int,
    file: TextIO | None = None,
    line: str | None = None,
) -> None:
    if issubclass(category, PumiceWarning):
        print(f"pumice: warning: {_one_line(str(message))}", file=sys.stderr)
    else:
        _show_other(message, category, filename, lineno, file, line)
