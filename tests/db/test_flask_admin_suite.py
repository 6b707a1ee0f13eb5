"""Flask-Admin's own tests of its SQLAlchemy views, run against ours."""

from __future__ import annotations

import importlib.util
import json
import os
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
SUITE = Path(__file__).parent / "flask_admin_suite"
DIFFERENCES = tomllib.loads((SUITE / "differences.toml").read_text("utf-8"))
GUIDE = ROOT / "docs" / "how-to" / "migrate-from-flask-admin.md"
NEEDED = (
    "arrow",
    "asgiref",
    "babel",
    "citext",
    "colour",
    "flask_sqlalchemy_lite",
    "sqlalchemy_utils",
)

# One run of their suite is enough: both tests go to the same worker.
pytestmark = pytest.mark.xdist_group("flask_admin_suite")

HAS_BABEL = importlib.util.find_spec("flask_babel") is not None
FAILING = DIFFERENCES["tests"] | (DIFFERENCES["with_flask_babel"] if HAS_BABEL else {})


@pytest.fixture(scope="module")
def report(
    postgresql_server: object, tmp_path_factory: pytest.TempPathFactory
) -> dict[str, list[str]]:
    """Which of its tests passed and which failed, each without its parameters."""
    for module in NEEDED:
        pytest.importorskip(module)
    path = tmp_path_factory.mktemp("flask_admin") / "report.json"
    chosen = " and ".join("not " + name.rpartition("::")[2] for name in DIFFERENCES["not_run"])
    with postgresql_server.connect() as connection:  # type: ignore[attr-defined]
        connection.exec_driver_sql("CREATE DATABASE flask_admin")
    url = postgresql_server.url.set(database="flask_admin")  # type: ignore[attr-defined]
    run = subprocess.run(
        [
            *(sys.executable, "-m", "pytest", "-q", "-c", os.devnull, "--rootdir", path.parent),
            *("-p", "tests.db.flask_admin_suite.ours_in_place", "-p", "no:cacheprovider"),
            *("-k", chosen, "--pyargs", "flask_admin.tests.sqla"),
        ],
        # Elsewhere than here, or pytest would load the conftest of these tests as well.
        cwd=path.parent,
        env={
            **os.environ,
            "PYTHONPATH": str(ROOT),
            "ADMIN_ALLOW_OPEN": "1",
            "FLASK_ADMIN_SUITE_REPORT": str(path),
            "SQLALCHEMY_DATABASE_URI": url.render_as_string(hide_password=False),
        },
        capture_output=True,
        text=True,
    )
    assert path.exists(), run.stdout + run.stderr
    found: dict[str, list[str]] = json.loads(path.read_text("utf-8"))
    return found


@pytest.mark.slow
def test_exactly_the_tests_that_are_listed_as_different_fail(report):
    assert set(report["failed"]) == set(FAILING)


@pytest.mark.slow
def test_most_of_the_tests_pass(report):
    assert len(report["passed"]) > len(report["failed"])


@pytest.mark.parametrize("test", [*DIFFERENCES["tests"], *DIFFERENCES["with_flask_babel"]])
def test_the_guide_names_each_difference_with_its_reasons(test):
    reasons = {**DIFFERENCES["tests"], **DIFFERENCES["with_flask_babel"]}[test]
    row = next((line for line in GUIDE.read_text("utf-8").splitlines() if f"`{test}`" in line), "")
    assert [r for r in reasons if f"[{r}](#{r})" not in row] == []


@pytest.mark.parametrize("reason", DIFFERENCES["reasons"])
def test_the_guide_tells_every_reason(reason):
    text = GUIDE.read_text("utf-8")
    assert f"### {reason}\n\n{DIFFERENCES['reasons'][reason]}" in text


@pytest.mark.parametrize("test", DIFFERENCES["not_run"])
def test_the_guide_names_the_tests_that_are_not_run(test):
    assert f"`{test}`" in GUIDE.read_text("utf-8")
