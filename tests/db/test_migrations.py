"""The migrations of the sample and of the admin's own tables."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import flask
import flask_migrate
import pytest
import sqlalchemy as sa
from flask_sqlalchemy import SQLAlchemy

from admin_app.app import create_app

KEY = "only for tests, and long enough"


@pytest.fixture
def app(database_url: str, tmp_path: Path) -> Iterator[flask.Flask]:
    app = create_app(
        {
            "DATABASE_URL": database_url,
            "INSTANCE_PATH": str(tmp_path / "instance"),
            "SECRET_KEY": KEY,
            "TESTING": True,
        }
    )
    with app.app_context():
        yield app


def engine() -> sa.Engine:
    db: SQLAlchemy = flask.current_app.extensions["sqlalchemy"]
    return db.engine


def by_name(constraints: list[Any]) -> list[Any]:
    return sorted(constraints, key=lambda constraint: str(constraint["name"]))


def schema() -> dict[str, Any]:
    """Everything that the database tells of its tables."""
    inspector = sa.inspect(engine())
    found: dict[str, Any] = {
        table: {
            "columns": [
                {**column, "type": str(column["type"])} for column in inspector.get_columns(table)
            ],
            "primary key": inspector.get_pk_constraint(table),
            "foreign keys": by_name(inspector.get_foreign_keys(table)),
            "unique": by_name(inspector.get_unique_constraints(table)),
            "checks": by_name(inspector.get_check_constraints(table)),
            "indexes": by_name(inspector.get_indexes(table)),
        }
        for table in inspector.get_table_names()
        if table != "alembic_version"
    }
    if engine().dialect.name == "postgresql":
        found["enumerations"] = inspector.get_enums()
    return found


def test_going_up_down_and_up_again_leaves_the_same_schema(app: flask.Flask) -> None:
    flask_migrate.upgrade()
    first = schema()
    flask_migrate.downgrade(revision="base")
    assert not any(schema().values())
    flask_migrate.upgrade()
    assert schema() == first


def test_migrating_makes_what_the_models_say(app: flask.Flask) -> None:
    flask_migrate.upgrade()
    migrated = schema()
    flask_migrate.downgrade(revision="base")
    app.extensions["migrate"].metadata.create_all(engine())
    assert schema() == migrated


def test_unchanged_models_need_no_revision(app: flask.Flask, tmp_path: Path) -> None:
    flask_migrate.upgrade()
    before = sorted(Path(app.config["MIGRATIONS_DIR"]).rglob("*.py"))
    flask_migrate.check()
    flask_migrate.migrate(message="nothing")
    assert sorted(Path(app.config["MIGRATIONS_DIR"]).rglob("*.py")) == before


def test_a_changed_model_is_found(app: flask.Flask) -> None:
    flask_migrate.upgrade()
    with engine().begin() as connection:
        connection.exec_driver_sql("ALTER TABLE drivers DROP COLUMN phone")
    with pytest.raises(SystemExit):
        flask_migrate.check()


def test_tables_of_others_are_left_alone(app: flask.Flask) -> None:
    with engine().begin() as connection:
        connection.exec_driver_sql("CREATE TABLE somebody_elses (id INTEGER PRIMARY KEY)")
    flask_migrate.upgrade()
    flask_migrate.check()
    flask_migrate.downgrade(revision="base")
    assert "somebody_elses" in schema()


@pytest.mark.parametrize("command", ["current", "history", "heads", "check"])
def test_commands_work_from_a_fresh_clone(app: flask.Flask, command: str) -> None:
    runner = app.test_cli_runner()
    assert runner.invoke(args=["db", "upgrade"]).exit_code == 0
    assert runner.invoke(args=["db", command]).exit_code == 0


def test_a_folder_for_other_models_can_be_made(app: flask.Flask, tmp_path: Path) -> None:
    result = app.test_cli_runner().invoke(args=["db", "init", "-d", str(tmp_path / "mine")])
    assert result.exit_code == 0
    assert (tmp_path / "mine" / "env.py").exists()


def test_migrations_can_be_written_as_sql(app: flask.Flask) -> None:
    result = app.test_cli_runner().invoke(args=["db", "upgrade", "--sql"])
    assert result.exit_code == 0
    assert "CREATE TABLE admin_user" in result.output


def test_rows_survive_when_sqlite_replaces_their_parents_table(
    sqlite_url: str, tmp_path: Path
) -> None:
    app = create_app(
        {
            "DATABASE_URL": sqlite_url,
            "INSTANCE_PATH": str(tmp_path / "instance"),
            "MIGRATIONS_DIR": str(copy_of_migrations(tmp_path)),
            "SECRET_KEY": KEY,
            "TESTING": True,
        }
    )
    with app.app_context():
        flask_migrate.upgrade(revision="0001")
        with engine().begin() as connection:
            connection.exec_driver_sql(
                "INSERT INTO admin_user (id, email, active, fs_uniquifier) VALUES (1, 'a', 1, 'a')"
            )
            connection.exec_driver_sql("INSERT INTO admin_role (id, name) VALUES (1, 'a')")
            connection.exec_driver_sql("INSERT INTO admin_user_role VALUES (1, 1)")
        flask_migrate.upgrade(revision="replaced")
        with engine().connect() as connection:
            rows = connection.exec_driver_sql("SELECT * FROM admin_user_role").all()
            assert connection.exec_driver_sql("PRAGMA foreign_keys").scalar() == 1
    assert rows == [(1, 1)]


def copy_of_migrations(folder: Path) -> Path:
    """The migrations, and a revision after the first that makes SQLite rebuild a table."""
    source = Path(__file__).parents[2] / "migrations"
    copy = folder / "migrations"
    for path in source.rglob("*.*"):
        if path.suffix in (".py", ".ini", ".mako"):
            (copy / path.relative_to(source)).parent.mkdir(parents=True, exist_ok=True)
            (copy / path.relative_to(source)).write_text(path.read_text())
    (copy / "versions" / "replaced.py").write_text(
        "import sqlalchemy as sa\nfrom alembic import op\n"
        "revision, down_revision = 'replaced', '0001'\n"
        "def upgrade():\n"
        "    with op.batch_alter_table('admin_user', recreate='always') as batch:\n"
        "        batch.alter_column('email', type_=sa.String(300))\n"
    )
    return copy
