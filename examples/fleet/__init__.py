"""The sample: a delivery company, its models, its data and a few options for its admin."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from flask import Flask


def init_app(app: Flask) -> None:
    """Give the application the sample's commands; `create_app` calls this."""
    from .cli import fleet_cli

    app.cli.add_command(fleet_cli)
