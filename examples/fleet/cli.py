"""The commands of the sample: ``flask fleet …``."""

from __future__ import annotations

import time
from dataclasses import replace

import click
from flask import current_app
from flask.cli import AppGroup

from .rows import SIZES, loads
from .seed import SeedRefused, is_empty, missing_tables, seed

fleet_cli = AppGroup("fleet", help="The sample: a delivery company.")


@fleet_cli.command("seed")
@click.option("--size", type=click.Choice(list(SIZES)), default="small", show_default=True)
@click.option("--telemetry", type=click.IntRange(min=0), help="Rows of telemetry, instead.")
@click.option("--if-empty", is_flag=True, help="Do nothing, and say nothing, if there are rows.")
def seed_command(size: str, telemetry: int | None, if_empty: bool) -> None:
    """Fill the tables of the sample: about 1,300, 100,000 or 5,000,000 rows."""
    engine = current_app.extensions["sqlalchemy"].engine
    if if_empty:
        with engine.connect() as connection:
            if not missing_tables(connection) and not is_empty(connection):
                return
    chosen = SIZES[size]
    if telemetry is not None:
        chosen = replace(chosen, telemetry=telemetry)
    rows = sum(load.count for load in loads(chosen))
    started = time.perf_counter()
    try:
        with click.progressbar(length=rows, label=f"Loading {rows:,} rows") as bar:
            seed(engine, chosen, progress=bar.update)
    except SeedRefused as refusal:
        raise click.ClickException(str(refusal)) from None
    click.echo(f"Loaded {rows:,} rows in {time.perf_counter() - started:.0f} seconds.")
