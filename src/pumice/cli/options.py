"""Options that several commands have."""

from __future__ import annotations

from typing import Annotated

import typer

AsStock = Annotated[bool, typer.Option("--as-stock", help="Reproduce stock netx's departures.")]
Trust = Annotated[
    list[str] | None,
    typer.Option(metavar="MODULE", help="Code outside this folder that the file may name; may be repeated."),
]
