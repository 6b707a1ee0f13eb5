"""The words that templates, style sheet and scripts use for each other."""

from __future__ import annotations

import base64
import dataclasses
import gzip
import hashlib
import json
import re
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import flask_admin
import jinja2
import pytest
import wtforms
from jinja2 import nodes
from markupsafe import Markup

from admin_app import contexts, pages

TEMPLATES = pages.TEMPLATES
STATIC = pages.STATIC
STOCK = Path(flask_admin.__file__).parent / "templates" / "bootstrap4"
DOCS = Path(__file__).parents[2] / "docs"

ENV = jinja2.Environment(loader=jinja2.FileSystemLoader(TEMPLATES), autoescape=True)
ENV.globals.update(asset=lambda path: f"/assets/{path}", csp_nonce=lambda: "n", csrf_token=str)

NAMES = sorted(str(path.relative_to(TEMPLATES)) for path in TEMPLATES.rglob("*.html"))
SCRIPTS = sorted((STATIC / "js").glob("*.js"))
STYLE = (STATIC / "admin.css").read_text("utf-8")


def source(name: str) -> str:
    return re.sub(r"{#.*?#}", "", (TEMPLATES / name).read_text("utf-8"), flags=re.DOTALL)


def parsed(path: Path) -> nodes.Template:
    return ENV.parse(path.read_text("utf-8"))


ALL = "\n".join(source(name) for name in NAMES)


@pytest.mark.parametrize("name", NAMES)
def test_every_template_can_be_compiled(name: str) -> None:
    assert ENV.get_template(name).name == name


@pytest.mark.parametrize("name", NAMES)
def test_every_template_that_is_named_exists(name: str) -> None:
    for _, named in re.findall(
        r"""{%-?\s*(extends|import|from|include)\s+"([^"]+)\"""", source(name)
    ):
        assert named in NAMES


def test_every_file_that_a_template_asks_for_exists() -> None:
    named = set(re.findall(r"""(?:asset|script)\(["']([^"']+)["']\)""", ALL))
    assert {"admin.css", "icon.svg", "js/list.js"} < named
    assert [path for path in named if not (STATIC / path).is_file()] == []


def test_every_script_is_asked_for() -> None:
    imported = "".join(script.read_text("utf-8") for script in SCRIPTS)
    idle = [s.name for s in SCRIPTS if f"js/{s.name}" not in ALL and f"./{s.name}" not in imported]
    assert idle == []


def test_every_icon_that_a_template_asks_for_is_drawn() -> None:
    icons = ENV.get_template("admin/_macros.html").module.icons  # type: ignore[attr-defined]
    assert set(re.findall(r"""icon\("([^"]+)"\)""", ALL)) == set(icons)


def test_every_module_that_a_script_imports_exists() -> None:
    for script in SCRIPTS:
        for path in re.findall(r"""import[^;]*?"([^"]+)";""", script.read_text("utf-8")):
            assert (script.parent / path).is_file(), path


@pytest.mark.parametrize("name", NAMES)
def test_no_template_holds_what_the_content_security_policy_forbids(name: str) -> None:
    text = source(name)
    assert not re.search(r"<style|\sstyle=|\son[a-z]+=|javascript:", text)
    for tag in re.findall(r"<script[^>]*>", text):
        assert "src=" in tag
        assert "nonce=" in tag


@pytest.mark.parametrize("name", NAMES)
def test_only_icons_and_widgets_are_printed_without_escaping(name: str) -> None:
    for printed in re.findall(r"{{ *(.*?)\|safe *}}", source(name)):
        assert printed == "icons[name]" or re.match(r"(f|field)\(", printed)


@pytest.mark.parametrize("name", NAMES)
def test_the_words_are_calm(name: str) -> None:
    words = re.sub(r"{%.*?%}|{{.*?}}|<[^>]*>", "", source(name), flags=re.DOTALL)
    assert "!" not in words
    assert "uccessfully" not in words


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda path: path.name)
def test_no_script_makes_html_or_code_from_text(script: Path) -> None:
    forbidden = r"innerHTML|outerHTML|insertAdjacentHTML|document\.write|eval\(|new Function"
    assert not re.search(forbidden, script.read_text("utf-8"))


def test_every_vendored_file_is_what_the_manifest_says() -> None:
    vendor = STATIC / "vendor"
    listed: dict[str, str] = {}
    for package in json.loads((vendor / "manifest.json").read_text("utf-8")):
        assert package["licence"]
        assert re.fullmatch(r"\d+\.\d+\.\d+", package["version"])
        listed |= package["files"]
    found = {
        path.relative_to(vendor).as_posix(): "sha384-"
        + base64.b64encode(hashlib.sha384(path.read_bytes()).digest()).decode()
        for path in vendor.rglob("*")
        if path.is_file() and path.name != "manifest.json"
    }
    assert found == listed


def test_a_list_page_loads_little() -> None:
    """At most 7 files and 64 kB, of which a long page of rows may be half."""
    loaded = ["admin.css", "icon.svg", "js/shell.js", "js/list.js"]
    assert len(loaded) < 7
    assert sum(len(gzip.compress((STATIC / path).read_bytes())) for path in loaded) < 32_000


# What drop-in users override or import by name.


def shared_with_flask_admin() -> list[str]:
    stock = {str(path.relative_to(STOCK)) for path in STOCK.rglob("*.html")}
    # The pop-ups are whole pages here, with the blocks of these.
    return [name for name in NAMES if name in stock and "/modals/" not in name]


def test_flask_admins_templates_are_compared() -> None:
    assert {"admin/base.html", "admin/lib.html", "admin/model/list.html"} <= set(
        shared_with_flask_admin()
    )


def blocks(path: Path) -> set[str]:
    return {block.name for block in parsed(path).find_all(nodes.Block)}


def all_blocks(name: str) -> set[str]:
    """The blocks of a template of ours and of those that it extends by name."""
    extended = [node.template for node in parsed(TEMPLATES / name).find_all(nodes.Extends)]
    parents = [template.value for template in extended if isinstance(template, nodes.Const)]
    return blocks(TEMPLATES / name).union(*map(all_blocks, parents))


@pytest.mark.parametrize("name", shared_with_flask_admin())
def test_every_block_of_flask_admin_can_be_overridden(name: str) -> None:
    theirs = blocks(STOCK / name)
    assert theirs <= all_blocks(name) | blocks(TEMPLATES / "admin" / "base.html")


@pytest.mark.parametrize("name", shared_with_flask_admin())
def test_every_macro_of_flask_admin_can_be_called(name: str) -> None:
    theirs = {macro.name: macro for macro in parsed(STOCK / name).find_all(nodes.Macro)}
    ours = {macro.name: macro for macro in parsed(TEMPLATES / name).find_all(nodes.Macro)}
    assert set(theirs) <= set(ours)
    for macro, stock in theirs.items():
        arguments = [argument.name for argument in stock.args]
        assert [a.name for a in ours[macro].args][: len(arguments)] == arguments


# What Python hands over.

PAGES: dict[str, type[Any]] = {
    "admin/model/list.html": contexts.ListPage,
    "admin/model/_form.html": contexts.FormPage,
    "admin/model/_form_page.html": contexts.FormPage,
    "admin/model/create.html": contexts.FormPage,
    "admin/model/edit.html": contexts.FormPage,
    "admin/model/details.html": contexts.DetailsPage,
    "admin/model/delete.html": contexts.ConfirmPage,
    "admin/confirm_action.html": contexts.ConfirmPage,
    "admin/index.html": contexts.IndexPage,
    "admin/error.html": pages.ErrorPage,
}


def fields(context: type[Any]) -> set[str]:
    found = {field.name for field in dataclasses.fields(context)}
    return found | {name for name, v in vars(context).items() if isinstance(v, property)}


@pytest.mark.parametrize("name", PAGES)
def test_a_page_uses_only_what_its_context_has(name: str) -> None:
    assert set(re.findall(r"\bpage\.(\w+)", source(name))) <= fields(PAGES[name])


def test_the_frame_uses_only_what_the_site_has() -> None:
    assert set(re.findall(r"\bsite\.(\w+)", ALL)) <= fields(pages.Site)


@pytest.mark.parametrize("context", [pages.Site, *dict.fromkeys(PAGES.values())])
def test_every_field_of_a_context_is_documented(context: type[Any]) -> None:
    text = (DOCS / "reference" / "template-contexts.md").read_text("utf-8")
    section = text.partition(f"## `{context.__name__}`")[2].partition("\n## ")[0]
    assert {name for name in fields(context) if f"`{name}`" not in section} == set()


# Fields.


class Controls(HTMLParser):
    """Which controls there are, and which of them have a name that is read out."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.controls: list[dict[str, str | None]] = []
        self.labelled: set[str | None] = set()
        self._labels = 0
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        attributes = dict(attrs)
        if tag == "label":
            self._labels += 1
            self.labelled.add(attributes.get("for"))
        elif tag in ("input", "select", "textarea") and attributes.get("type") != "hidden":
            if self._labels or attributes.get("aria-label"):
                self.labelled.add(attributes.get("id"))
            self.controls.append(attributes)

    def handle_endtag(self, tag: str) -> None:
        self._labels -= tag == "label"

    @property
    def nameless(self) -> list[dict[str, str | None]]:
        return [control for control in self.controls if control.get("id") not in self.labelled]


class Address(wtforms.Form):
    street = wtforms.StringField("Street")


CHOICES = ["Parcel", "Pallet"]
FIELDS: dict[str, Any] = {
    "text": wtforms.StringField("Text"),
    "long": wtforms.TextAreaField("Long"),
    "box": wtforms.BooleanField("Box"),
    "choice": wtforms.SelectField("Choice", choices=CHOICES),
    "choices": wtforms.SelectMultipleField("Choices", choices=CHOICES),
    "radio": wtforms.RadioField("Radio", choices=CHOICES),
    "file": wtforms.FileField("File"),
    "date": wtforms.DateField("Date"),
    "moment": wtforms.DateTimeLocalField("Moment"),
    "number": wtforms.DecimalField("Number"),
    "password": wtforms.PasswordField("Password"),
    "form": wtforms.FormField(Address, "Form"),
    "list": wtforms.FieldList(wtforms.StringField("One"), "List", min_entries=2),
    "forms": wtforms.FieldList(wtforms.FormField(Address), "Forms", min_entries=1),
}


def drawn(field: Any, errors: list[str] | None = None, **arguments: Any) -> str:
    form = wtforms.form.BaseForm({"it": field})
    form.process()
    if errors:
        form["it"].errors = errors
    macros: Any = ENV.get_template("admin/_macros.html").module
    return str(macros.field(form["it"], **arguments))


@pytest.mark.parametrize("kind", FIELDS)
def test_every_control_of_a_field_has_a_name(kind: str) -> None:
    controls = Controls(drawn(FIELDS[kind]))
    assert controls.controls
    assert controls.nameless == []


def test_a_hidden_field_is_drawn_without_words() -> None:
    assert "<label" not in drawn(wtforms.HiddenField("Secret"))


def test_errors_and_description_are_told_to_whoever_cannot_see_them() -> None:
    html = drawn(wtforms.StringField("Total", description="In euros"), errors=["Too much"])
    assert 'aria-describedby="it-error it-hint"' in html
    assert 'aria-invalid="true"' in html
    assert 'id="it-error"' in html
    assert 'id="it-hint"' in html


def test_a_required_field_is_marked() -> None:
    html = drawn(wtforms.StringField("Name", [wtforms.validators.DataRequired()]))
    assert 'class="must"' in html
    assert " required" in html


def test_the_words_of_a_field_are_escaped() -> None:
    html = drawn(wtforms.StringField("<b>", description="<i>"), errors=["<u>"])
    assert not re.search("<[biu]>", html)


def test_a_description_may_be_markup() -> None:
    assert "<i>x</i>" in drawn(wtforms.StringField("Name", description=Markup("<i>x</i>")))  # type: ignore[arg-type]


# The style sheet.


def outside_tokens() -> str:
    start = STYLE.index("@layer base {")
    return re.sub(r"/\*.*?\*/", "", STYLE[start:], flags=re.DOTALL)


def test_colours_are_written_in_the_tokens_only() -> None:
    assert re.findall(r"#[0-9a-f]{3,8}\b|rgba?\(|hsla?\(", outside_tokens()) == []


def test_every_token_is_used_and_every_used_one_is_defined() -> None:
    assert set(re.findall(r"var\((--[\w-]+)", STYLE)) == set(re.findall(r"(--[\w-]+):", STYLE))


def test_every_class_of_the_style_sheet_is_drawn_somewhere() -> None:
    text = re.sub(r"url\([^)]*\)|\"[^\"]*\"", "", outside_tokens())
    drawn_by = ALL + "".join(
        path.read_text("utf-8") for path in [*pages.PACKAGE.rglob("*.py"), *STATIC.rglob("*.js")]
    )
    classes = set(re.findall(r"\.([a-z][a-z-]*)", text))
    assert {c for c in classes if not re.search(rf"(?<![\w-]){c}(?![\w-])", drawn_by)} == set()


def colour(token: str, theme: int) -> tuple[float, float, float]:
    pair = re.search(rf"{token}: light-dark\(([^,]+), ([^)]+)\)", STYLE)
    assert pair is not None, token
    digits = pair[theme + 1].strip().removeprefix("#")
    digits = "".join(d * 2 for d in digits) if len(digits) == 3 else digits
    red, green, blue = (int(digits[i : i + 2], 16) / 255 for i in (0, 2, 4))
    return red, green, blue


def luminance(channels: tuple[float, float, float]) -> float:
    """The relative luminance of WCAG 2.2."""
    red, green, blue = (
        c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in channels
    )
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


GROUNDS = ("--bg", "--rail", "--panel", "--sunk", "--raised")
PAIRS = [(ink, ground) for ink in ("--text", "--muted", "--faint") for ground in GROUNDS] + [
    ("--accent", "--bg"),
    ("--accent", "--accent-soft"),
    ("--on-accent", "--accent"),
    ("--on-accent", "--accent-strong"),
    ("--text", "--accent-soft"),
    ("--muted", "--accent-soft"),
    ("--add", "--add-soft"),
    ("--add", "--panel"),
    ("--del", "--del-soft"),
    ("--del", "--bg"),
    ("--del", "--panel"),
    ("--on-del", "--del"),
    ("--warn", "--warn-soft"),
    ("--warn", "--panel"),
]


@pytest.mark.parametrize("theme", [0, 1], ids=["light", "dark"])
@pytest.mark.parametrize(("ink", "ground"), PAIRS)
def test_every_ink_can_be_read_on_its_ground(ink: str, ground: str, theme: int) -> None:
    darker, lighter = sorted(luminance(colour(token, theme)) for token in (ink, ground))
    assert (lighter + 0.05) / (darker + 0.05) >= 4.5
