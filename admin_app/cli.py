"""Commands for whoever runs the server: ``flask admin …``."""

from __future__ import annotations

import datetime as dt
import os
from collections.abc import Iterator
from contextlib import contextmanager

import click
import sqlalchemy as sa
from alembic.migration import MigrationContext
from alembic.operations import Operations
from flask import current_app
from flask.cli import AppGroup

from admin_app import checks, grants, jobs
from admin_app.accounts import Accounts, random_password
from admin_app.changes import ChangeSetRecord, audit, chain, triggers
from admin_app.database import Base
from admin_app.errors import ConfigurationError, WriteRefused
from admin_app.grants import Grant, GrantRecord
from admin_app.sessions import device

DEMO_EMAIL = "demo@example.com"

admin_cli = AppGroup("admin", help="Accounts and tables of the admin.")

_password = click.option(
    "--password",
    help="Instead of being asked for it; others on this machine can see it.",
)


@admin_cli.command("create-user")
@click.argument("email")
@_password
@click.option("--role", "roles", multiple=True, metavar="ROLE", help="Can be given several times.")
def create_user(email: str, password: str | None, roles: tuple[str, ...]) -> None:
    """Make an account for EMAIL; the first one may do everything unless it is given a role."""
    accounts = _accounts()
    with _told():
        user = accounts.create_user(email, password or _ask(), roles or None)
        names = ", ".join(role.name for role in user.roles)
    click.echo(f"{email} can sign in now{f' as {names}' if names else ''}.")
    if not names:
        click.echo(f"It may do nothing yet: flask admin grant {email} ROLE")


@admin_cli.command("grant")
@click.argument("email")
@click.argument("role")
def grant(email: str, role: str) -> None:
    """Give the account of EMAIL the role ROLE."""
    _change_roles(email, role, is_given=True)
    click.echo(f"{email} has the role {role} from its next request on.")


@admin_cli.command("revoke")
@click.argument("email")
@click.argument("role")
def revoke(email: str, role: str) -> None:
    """Take the role ROLE from the account of EMAIL."""
    _change_roles(email, role, is_given=False)
    click.echo(f"{email} has the role {role} no more from its next request on.")


def _change_roles(email: str, role: str, *, is_given: bool) -> None:
    accounts = _accounts()
    with _told():
        user = accounts.find_user(email)
        if user is None:
            raise click.ClickException(f"There is no account for {email}.")
        accounts.give(user, role) if is_given else accounts.take(user, role)


@admin_cli.command("sessions")
@click.argument("email")
@click.option("--end", "is_ending", is_flag=True, help="Sign the account out everywhere.")
def sessions(email: str, is_ending: bool) -> None:
    """List where the account of EMAIL is signed in."""
    accounts = _accounts()
    with _told():
        user = accounts.find_user(email)
        if user is None:
            raise click.ClickException(f"There is no account for {email}.")
        found = accounts.sessions_of(user.id)
        for one in found:
            click.echo(
                f"{device(one.agent)}  {one.address or '?'}  since {one.started_at:%Y-%m-%d %H:%M}"
                f"  last used {one.seen_at:%Y-%m-%d %H:%M}"
            )
        if is_ending:
            accounts.end_sessions(user.id, [one.id for one in found])
    signed_out = f"{email} is signed out everywhere."
    click.echo(signed_out if is_ending or not found else f"{len(found):,} in all, times in UTC.")


@admin_cli.command("roles")
def roles() -> None:
    """List the roles, what each allows, and who has it."""
    accounts = _accounts()
    with _told():
        for role, allowed, emails in accounts.overview():
            click.echo(f"{role.name}  {', '.join(emails) or 'nobody'}")
            for said in allowed or ["allows nothing yet"]:
                click.echo(f"  {said}")


@admin_cli.command("allow")
@click.argument("role")
@click.argument("model")
@click.argument("actions", nargs=-1, required=True)
@click.option("--where", "rule", default="", metavar="FILTERS", help="As in a list's address.")
@click.option("--columns", default="", help="Attributes, with commas between.")
@click.option("--deny", is_flag=True, help="Forbid it instead, whatever other roles allow.")
def allow(
    role: str, model: str, actions: tuple[str, ...], rule: str, columns: str, deny: bool
) -> None:
    """Let ROLE do ACTIONS (view, add, change, delete, …, or *) to the table MODEL (or *).

    The role is made where there is none of that name.
    """
    admin = current_app.extensions["admin_app"]
    known = {grants.name_of(view.model): view for view in admin.every_view()}
    if model != grants.ANY and model not in known:
        raise click.ClickException(f"There is no model {model}: {', '.join(sorted(known))}.")
    names = tuple(filter(None, columns.split(",")))
    accounts = _accounts()
    with _told():
        if rule and model in known:
            grants.criterion(rule, known[model].model, {"me.id": "0", "me.email": "nobody"})
        accounts.allow(role, [Grant(a, model, names, deny, rule) for a in actions])
    click.echo(f"{role} may {'not ' if deny else ''}{', '.join(actions)} {model}.")


@admin_cli.command("set-password")
@click.argument("email")
@_password
def set_password(email: str, password: str | None) -> None:
    """Give the account of EMAIL another password and end its sessions."""
    accounts = _accounts()
    with _told():
        user = accounts.find_user(email)
        if user is None:
            raise click.ClickException(f"There is no account for {email}.")
        accounts.set_password(user, password or _ask())
    click.echo(f"{email} has another password now and is signed out everywhere.")


@admin_cli.command("init-db")
def init_db() -> None:
    """Make the admin's own tables and their columns where they are missing, and nothing else.

    For a database whose tables are managed elsewhere; otherwise use "flask db upgrade".
    """
    bind = current_app.extensions["admin_app"].session.get_bind()
    with _told():
        present = set(sa.inspect(bind).get_table_names())
        Base.metadata.create_all(bind)
        made = sorted(set(Base.metadata.tables) - present)
        with bind.begin() as connection:
            made += _add_columns(connection)
        sign_in = current_app.extensions["admin_app"].sign_in
        if GrantRecord.__tablename__ in made and isinstance(sign_in, Accounts):
            sign_in.appoint_all()
    click.echo(f"Made {', '.join(made)}." if made else "All tables are there already.")


def _add_columns(connection: sa.Connection) -> list[str]:
    """Give our tables the columns that a newer version has; their names.

    One that must have a value and has no default would need more than this; there is none.
    """
    operations = Operations(MigrationContext.configure(connection))
    inspector, added = sa.inspect(connection), list[str]()
    for table in Base.metadata.sorted_tables:
        present = {column["name"] for column in inspector.get_columns(table.name)}
        missing = [column for column in table.columns if column.name not in present]
        for column in missing:
            made = sa.Column(column.name, column.type, server_default=column.server_default)
            operations.add_column(table.name, made)
            added.append(f"{table.name}.{column.name}")
        for index in table.indexes:
            if any(column in missing for column in index.columns):
                index.create(connection)
    return added


@admin_cli.command("prune-history")
@click.option(
    "--older-than", type=click.IntRange(min=1), required=True, metavar="DAYS", help="In days."
)
def prune_history(older_than: int) -> None:
    """Delete what the history holds of changes, and the jobs that ended, before that many days."""
    admin = current_app.extensions["admin_app"]
    before = dt.datetime.now(dt.UTC) - dt.timedelta(days=older_than)
    with _told():
        cut = chain.cut if admin.has_table(chain.ChainRecord) else None
        count = audit.prune(admin.session, before, cut)
        ended = jobs.prune(admin, before) if admin.has_table(jobs.Job) else 0
    click.echo(f"{count:,} {'change is' if count == 1 else 'changes are'} forgotten.")
    if ended:
        click.echo(f"{ended:,} {'job is' if ended == 1 else 'jobs are'} forgotten.")


@admin_cli.command("verify-history")
def verify_history() -> None:
    """Tell the first change of a chained history that is not as it was written."""
    admin = current_app.extensions["admin_app"]
    last = chain.end(admin.session) if admin.has_table(chain.ChainRecord) else None
    if last is None:
        raise click.ClickException(
            "The history is not chained: see Admin(…, history=“chained”) or ADMIN_HISTORY."
        )
    found = chain.fault(admin.session)
    if found is not None:
        number, sentence = found
        place = "The end of the history" if number is None else f"Change {number}"
        raise click.ClickException(f"{place}: {sentence}")
    click.echo(f"The history is as it was written. Its last digest is {last}.")


@admin_cli.group("audit-triggers")
def audit_triggers() -> None:
    """Record what other programs write, by triggers (PostgreSQL only)."""


_print = click.option("--sql", is_flag=True, help="Print what would be done, for a migration.")


@audit_triggers.command("install")
@_print
def install_triggers(sql: bool) -> None:
    """Make the triggers of every table, in place of those that there are."""
    admin = current_app.extensions["admin_app"]
    if admin.chains_history():
        raise click.ClickException(
            "A chained history takes in what the admin writes and nothing else: triggers would "
            "break the chain."
        )
    with _told(), _triggers() as (connection, plan):
        _do(connection, triggers.installation(connection, plan), sql)
    if not sql:
        click.echo(f"Triggers record {len(plan.tables):,} tables.")
    for name, reason in plan.skipped:
        click.echo(f"{'-- ' if sql else ''}Not recorded: {name} {reason}.")


@audit_triggers.command("remove")
@_print
def remove_triggers(sql: bool) -> None:
    """Take every trigger and function away. What they recorded stays."""
    with _told(), _triggers() as (connection, _):
        statements = triggers.removal(connection)
        _do(connection, statements, sql)
    if not sql:
        click.echo("The triggers are gone." if statements else "There are no triggers.")


@audit_triggers.command("status")
def status_of_triggers() -> None:
    """Tell which tables have triggers that fit them; ends with 1 when some have not."""
    with _told(), _triggers() as (connection, plan):
        states = triggers.states(connection, plan)
    for name, state in [*states, *plan.skipped]:
        click.echo(f"{name}: {state}")
    if any(state != "installed" for _, state in states):
        raise SystemExit(1)


@contextmanager
def _triggers() -> Iterator[tuple[sa.Connection, triggers.Plan]]:
    admin = current_app.extensions["admin_app"]
    tables: dict[str, sa.Table] = {}
    for view in admin.views_by_model.values():
        tables.update(view.mapper.local_table.metadata.tables)
    with admin.session.get_bind(mapper=ChangeSetRecord.__mapper__).begin() as connection:
        yield connection, triggers.plan(connection, tables.values())


def _do(connection: sa.Connection, statements: list[str], is_printed: bool) -> None:
    if is_printed:
        for statement in statements:
            click.echo(f"{statement};\n")
        return
    # Whoever is at work on a table shall not make the site wait behind this.
    triggers.run(connection, ["SET LOCAL lock_timeout = '5s'", *statements])


@admin_cli.command("jobs")
def list_jobs() -> None:
    """List the jobs that have not ended, and the last that have."""
    admin = current_app.extensions["admin_app"]
    with _told():
        found = jobs.latest(admin) if admin.has_table(jobs.Job) else []
    for job in found:
        rows = f"{job.done + job.failed:,}" + (f" of {job.total:,}" if job.total else "")
        failed = f", {job.failed:,} failed" if job.failed else ""
        click.echo(f"{job.id}  {job.state}  {rows}{failed}  {job.owner}  {job.label}")
    if not found:
        click.echo("There are no jobs.")


@admin_cli.command("worker")
@click.option(
    "--at-once",
    type=click.IntRange(1, 16),
    default=1,
    show_default=True,
    metavar="JOBS",
    help="How many jobs to run at the same time.",
)
def worker(at_once: int) -> None:
    """Run long jobs, one after the other, until it is told to end (SIGTERM, Ctrl+C)."""
    admin = current_app.extensions["admin_app"]
    app = current_app._get_current_object()  # type: ignore[attr-defined]
    queue = jobs.engine_of(app, admin)
    if not isinstance(queue, jobs.Queue):
        raise click.ClickException(
            "There is no queue: with this database, or by ADMIN_JOBS, jobs run where they start."
        )
    click.echo("Waiting for jobs.")
    jobs.serve([jobs.Worker(app, admin, queue, stays=True) for _ in range(at_once)])
    click.echo("Ended; what was not done waits for the next worker.")


@admin_cli.command("check")
@click.option("--strict", is_flag=True, help="End with 1 when there is anything to tell.")
@click.option("--deploy", is_flag=True, help="What should not be so where others reach the server.")
def check(strict: bool, deploy: bool) -> None:
    """Tell what the admin cannot do with the models as they are."""
    admin = current_app.extensions["admin_app"]
    with _told():
        found = checks.deployment(admin) if deploy else checks.findings(admin)
    for finding in found:
        click.echo(str(finding))
    click.echo(f"{len(found):,} to look at." if found else "Nothing to look at.")
    if found and strict:
        raise SystemExit(1)


@admin_cli.command("demo-user")
def demo_user() -> None:
    """Make an account with a new random password for the sample, and print both."""
    address = f"http://{os.environ.get('HOST', '127.0.0.1')}:{os.environ.get('PORT', '5000')}"
    address += f"{current_app.extensions['admin_app'].url}/"
    if not isinstance(current_app.extensions["admin_app"].sign_in, Accounts):
        click.echo(f"Open {address} (nobody has to sign in)")
        return
    is_sample = current_app.config.get("ADMIN_MODELS") == "examples.fleet.models"
    if not (is_sample or current_app.debug or current_app.testing):
        raise click.ClickException(
            "A demo user is for the sample alone. Run “flask admin create-user” instead."
        )
    accounts = _accounts()
    password = random_password()
    with _told():
        user = accounts.find_user(DEMO_EMAIL)
        if user is None:
            accounts.create_user(DEMO_EMAIL, password)
        else:
            accounts.set_password(user, password)
    click.echo(f"Open {address}\n  e-mail    {DEMO_EMAIL}\n  password  {password}")


def _accounts() -> Accounts:
    sign_in = current_app.extensions["admin_app"].sign_in
    if not isinstance(sign_in, Accounts):
        raise click.ClickException(
            "This admin has no accounts of its own: who may enter is decided by "
            f"{type(sign_in).__name__}."
        )
    return sign_in


def _ask() -> str:
    password: str = click.prompt("Password", hide_input=True, confirmation_prompt=True)
    return password


@contextmanager
def _told() -> Iterator[None]:
    """Turn what can go wrong into a sentence on the terminal."""
    try:
        yield
    except WriteRefused as refusal:
        raise click.ClickException(refusal.sentence) from None
    except ConfigurationError as error:
        raise click.ClickException(str(error)) from None
    except (sa.exc.OperationalError, sa.exc.ProgrammingError) as error:
        if any(name in str(error.orig) for name in ("admin_user", "admin_role", "admin_grant")):
            raise click.ClickException(
                "The tables for accounts are missing. Run “flask db upgrade” or "
                "“flask admin init-db” first."
            ) from None
        raise click.ClickException(f"The database refused: {str(error.orig).strip()}") from None
