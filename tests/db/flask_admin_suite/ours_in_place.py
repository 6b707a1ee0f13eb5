"""A pytest plugin that puts our ModelView in the place of Flask-Admin's, and reports what fails.

It is loaded before Flask-Admin's test modules are imported, and those import the class by name.
"""

from __future__ import annotations

import json
import os
from pathlib import Path

import flask_admin.contrib.sqla as package
import flask_admin.contrib.sqla.view as view
import pytest

from admin_app import ModelView

package.ModelView = ModelView  # type: ignore[misc]
view.ModelView = ModelView  # type: ignore[misc,assignment]

_passed: set[str] = set()
_failed: set[str] = set()


def pytest_runtest_logreport(report: pytest.TestReport) -> None:
    """Note the test without its parameters, as ``test_basic.py::test_model``."""
    name = report.nodeid.rpartition("/")[2].partition("[")[0]
    if report.failed:
        _failed.add(name)
    elif report.when == "call" and report.passed:
        _passed.add(name)


def pytest_sessionfinish() -> None:
    """Write which tests passed in all their variants, and which failed in one at least."""
    found = {"passed": sorted(_passed - _failed), "failed": sorted(_failed)}
    Path(os.environ["FLASK_ADMIN_SUITE_REPORT"]).write_text(json.dumps(found), "utf-8")
