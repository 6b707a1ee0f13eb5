"""What is published: the wheel and the sdist hold what they should, and the locks fit."""

from __future__ import annotations

import os
import subprocess
import sys
import tarfile
import tomllib
import zipfile
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).parent.parent
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]

# One worker builds, once, for all of them.
pytestmark = pytest.mark.xdist_group("wheel")


def files_under(*folders: str) -> set[str]:
    return {
        path.relative_to(ROOT).as_posix()
        for folder in folders
        for path in (ROOT / folder).rglob("*")
        if path.is_file() and "__pycache__" not in path.parts
    }


@pytest.fixture(scope="module")
def archives(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """The sdist, and the wheel that is built from that sdist alone."""
    folder = tmp_path_factory.mktemp("dist")
    build = [sys.executable, "-m", "build", "--no-isolation", "--outdir", str(folder), str(ROOT)]
    result = subprocess.run(build, capture_output=True, text=True)
    assert result.returncode == 0, result.stdout + result.stderr
    return next(folder.glob("*.tar.gz")), next(folder.glob("*.whl"))


@pytest.fixture(scope="module")
def in_wheel(archives: tuple[Path, Path]) -> set[str]:
    with zipfile.ZipFile(archives[1]) as wheel:
        return set(wheel.namelist())


@pytest.fixture(scope="module")
def in_sdist(archives: tuple[Path, Path]) -> set[str]:
    with tarfile.open(archives[0]) as sdist:
        return {name.partition("/")[2] for name in sdist.getnames()}


@pytest.mark.slow
def test_the_wheel_carries_code_static_files_and_templates(in_wheel: set[str]) -> None:
    templates = {f"admin_app/{name}" for name in files_under("templates")}
    assert templates
    assert templates | files_under("admin_app") <= in_wheel


@pytest.mark.slow
def test_the_wheel_installs_the_package_and_nothing_beside_it(in_wheel: set[str]) -> None:
    folders = {name.split("/")[0] for name in in_wheel}
    assert folders == {"admin_app", f"admin_app-{PROJECT['version']}.dist-info"}


@pytest.mark.slow
def test_the_sdist_carries_what_testing_it_needs(in_sdist: set[str]) -> None:
    wanted = {"wsgi.py", "Makefile", "requirements.txt", "requirements-dev.txt"}
    assert wanted | files_under("admin_app", "templates", "tests", "migrations") <= in_sdist


@pytest.mark.slow
def test_the_sdist_carries_no_litter(in_sdist: set[str]) -> None:
    litter = ("__pycache__", ".pyc", ".db", ".sqlite", ".coverage", ".venv", "instance/", "dist/")
    vendored = "admin_app/static/vendor/"
    assert [
        name
        for name in in_sdist
        if not name.startswith(vendored) and any(word in name for word in litter)
    ] == []


@pytest.mark.slow
def test_the_installed_wheel_serves_its_own_templates(
    archives: tuple[Path, Path], tmp_path: Path
) -> None:
    site = tmp_path / "site"
    pip = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--no-index"]
    subprocess.run([*pip, "--target", str(site), str(archives[1])], check=True)
    script = """
import flask
from admin_app import pages
app = flask.Flask("host")
pages.install(app)
print(app.jinja_env.get_template("admin/base.html").filename)
"""
    result = subprocess.run(
        [sys.executable, "-W", "error", "-c", script],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(site)},
        capture_output=True,
        text=True,
    )
    assert result.returncode == 0, result.stderr
    assert result.stdout.strip() == str(site / "admin_app" / "templates" / "admin" / "base.html")


def locked(name: str) -> dict[str, str]:
    lines = (ROOT / name).read_text("utf-8").splitlines()
    pins = [line.split("==") for line in lines if line and not line.startswith(("#", "-r "))]
    return {canonicalize_name(package): version for package, version in pins}


@pytest.mark.parametrize(
    ("requirements", "file"),
    [
        (PROJECT["dependencies"], "requirements.txt"),
        (PROJECT["optional-dependencies"]["dev"], "requirements-dev.txt"),
    ],
    ids=["run", "dev"],
)
def test_every_range_has_its_exact_version(requirements: list[str], file: str) -> None:
    pins = locked(file)
    for requirement in map(Requirement, requirements):
        version = pins[canonicalize_name(requirement.name)]
        assert requirement.specifier.contains(version), requirement
