"""`pumice verify`: hold backends to a file's certificate."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from pumice.backends import BACKEND_NAMES, BACKENDS_HELP, SIMULATORS, AbstractBackend, get_backend
from pumice.backends.verify import verify as verify_graph
from pumice.errors import InputError, MissingExtraError
from pumice.names import counted
from pumice.netx import load

_LEFT_OUT = " and ".join(name for name in BACKEND_NAMES if name not in SIMULATORS)


def verify(
    file: Annotated[Path, typer.Argument(metavar="FILE.net", help="A network with a certificate.")],
    backend: Annotated[
        list[str] | None,
        typer.Option(
            help=f"May be repeated; one of: {BACKENDS_HELP}. By default all that are installed but {_LEFT_OUT}."
        ),
    ] = None,
) -> None:
    """Run backends on FILE.net's certificate and compare every spike, current and voltage."""
    chosen = [get_backend(name) for name in backend] if backend else _installed()
    graph = load(file)
    if graph.certificate is None:
        raise InputError(f"{file}: holds no certificate to verify against; `pumice.certify` makes one")
    compared = verify_graph(graph, chosen)
    steps = len(graph.certificate.x)
    what = ", ".join(dict.fromkeys(["s", *(state for p in graph.populations for state in p.states)]))
    for name, count in compared.items():
        print(
            f"{name}: equal ({counted(count, 'value')}: {what} of "
            f"{counted(len(graph.populations), 'population')} in {counted(steps, 'step')})"
        )


def _installed() -> list[AbstractBackend]:
    found = []
    for name in SIMULATORS:
        try:
            found.append(get_backend(name))
        except MissingExtraError as error:
            print(f"{name}: not run ({error})")
    return found
