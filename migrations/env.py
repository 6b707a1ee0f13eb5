"""What every ``flask db`` command runs: migrate the application's database to its models.

Only tables of the models, and of the admin itself, are looked at. Others in the same database are
never altered, and never dropped for being unknown.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import sqlalchemy as sa
from alembic import context
from flask import current_app

from admin_app.database import set_limits

logging.basicConfig(format="%(message)s")
log = logging.getLogger("alembic.runtime.migration")
log.setLevel(logging.INFO)
# What is being run is worth a line; which class of Alembic runs it is not.
log.addFilter(lambda record: not str(record.msg).startswith(("Context impl", "Will assume")))

database = current_app.extensions["migrate"].db
metadata: sa.MetaData = database.metadata


def is_ours(name: str | None, kind: str, parents: dict[str, Any]) -> bool:
    """Whether autogeneration looks at what is called ``name`` in the database."""
    return kind != "table" or parents["schema_qualified_table_name"] in metadata.tables


def forget_empty(migration: Any, revision: Any, directives: list[Any]) -> None:
    """Write no file for a revision in which nothing changes."""
    options = context.config.cmd_opts
    if getattr(options, "autogenerate", False) and directives[0].upgrade_ops.is_empty():
        directives.clear()
        log.info("The models have not changed.")


@contextmanager
def without_foreign_keys(connection: sa.Connection) -> Iterator[None]:
    """Let SQLite replace tables that others refer to.

    A batch migration there drops the old table, which with foreign keys on would delete the rows
    that refer to it. The pragma does nothing inside a transaction, hence the bare connection.
    """
    if connection.dialect.name != "sqlite":
        yield
        return
    bare = connection.connection.dbapi_connection
    bare.execute("PRAGMA foreign_keys = OFF")
    try:
        yield
        broken = bare.execute("PRAGMA foreign_key_check").fetchall()
        if broken:
            raise RuntimeError(f"These rows refer to rows that do not exist: {broken}")
    finally:
        bare.execute("PRAGMA foreign_keys = ON")


options = {
    "target_metadata": metadata,
    "include_name": is_ours,
    "process_revision_directives": forget_empty,
    # Alembic thinks that SQLite cannot, which is so until one begins transactions by hand, as
    # `admin_app.database.listen` does.
    "transactional_ddl": True,
    **current_app.extensions["migrate"].configure_args,
}

if context.is_offline_mode():
    context.configure(url=database.engine.url, literal_binds=True, **options)
    with context.begin_transaction():
        context.run_migrations()
else:
    with database.engine.connect() as connection, without_foreign_keys(connection):
        context.configure(connection=connection, **options)
        with context.begin_transaction():
            # Rewriting a large table takes longer than any page may.
            set_limits(connection, "job")
            context.run_migrations()
