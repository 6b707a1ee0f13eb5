"""Hooks, and where a save leads, in an application written for Flask-Admin."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
import wtforms

from admin_app import ModelView
from tests.db.drop_in import Author, Post

# Hooks


def test_the_hooks_of_a_save_are_called_in_order(host):
    calls = []

    class View(ModelView):
        def on_model_change(self, form, model, is_created):
            calls.append(("on", model.title, is_created))
            model.kind = "z"

        def after_model_change(self, form, model, is_created):
            calls.append(("after", model.id is not None, is_created))

    host.add(View)
    host.post("/admin/post/new/", title="New")
    host.post("/admin/post/edit/?id=1", title="Changed")
    assert calls == [
        ("on", "New", True),
        ("after", True, True),
        ("on", "Changed", False),
        ("after", True, False),
    ]
    assert host.row().kind == "z"


def test_a_hook_may_refuse_with_a_validation_error(host):
    class View(ModelView):
        def on_model_change(self, form, model, is_created):
            raise wtforms.ValidationError("Not on a Sunday")

    host.add(View)
    assert "Not on a Sunday" in host.post("/admin/post/edit/?id=1", 400, title="X")
    assert host.row().title == "First"


def test_the_hooks_of_a_delete_are_called(host):
    calls = []

    class View(ModelView):
        def on_model_delete(self, model):
            calls.append(("on", model.title))

        def after_model_delete(self, model):
            calls.append(("after", None))

    host.add(View)
    host.post("/admin/post/delete/", id="3")
    assert calls == [("on", "Third"), ("after", None)]
    assert host.row(3) is None


def test_a_form_is_prefilled_with_the_key_of_the_row(host):
    class View(ModelView):
        form_extra_fields = {"note": wtforms.StringField()}

        def on_form_prefill(self, form, id):
            form.note.data = f"about {id}"

    host.add(View)
    assert 'value="about 2"' in host.get("/admin/post/edit/?id=2")


def test_create_and_update_model_may_be_wrapped(host):
    calls = []

    class View(ModelView):
        def create_model(self, form):
            model = super().create_model(form)
            calls.append(model.title)
            return model

        def update_model(self, form, model):
            calls.append(model.title)
            return super().update_model(form, model)

        def delete_model(self, model):
            calls.append("delete")
            return super().delete_model(model)

    host.add(View)
    host.post("/admin/post/new/", title="New")
    host.post("/admin/post/edit/?id=1", title="Changed")
    host.post("/admin/post/delete/", id="3")
    assert calls == ["New", "First", "delete"]
    assert host.row().title == "Changed"


def test_create_model_may_be_written_anew(host):
    class View(ModelView):
        def create_model(self, form):
            model = self.build_new_instance()
            form.populate_obj(model)
            model.kind = "own"
            self.session.session.add(model) if hasattr(self.session, "session") else None
            self.session.session.commit()
            return model

    host.add(View)
    host.post("/admin/post/new/", title="Own way")
    with host.session() as session:
        assert session.scalar(sa.select(Post.kind).where(Post.title == "Own way")) == "own"


# Where a save leads


@pytest.mark.parametrize(
    ("target", "back"),
    [
        ("/admin/post/?search=x", "/admin/post/?search=x"),
        ("http://localhost/admin/post/?page=1", "/admin/post/?page=1"),
        ("http://evil.example/", "/admin/post/"),
        ("//evil.example/", "/admin/post/"),
        ("javascript:alert(1)", "/admin/post/"),
    ],
)
def test_a_save_leads_back_within_the_site_only(host, target, back):
    host.add()
    client = host.app.test_client()
    response = client.post(
        "/admin/post/edit/", query_string={"id": 1, "url": target}, data={"title": "X"}
    )
    assert response.location == back


def test_a_save_may_lead_elsewhere_by_choice_of_the_host(host):
    class View(ModelView):
        def get_save_return_url(self, model, is_created=False):
            return self.get_url(".details_view", id=model.id)

    host.add(View)
    client = host.app.test_client()
    response = client.post("/admin/post/edit/?id=1", data={"title": "X"})
    assert response.location == "/admin/post/details/?id=1"


def test_the_defaults_of_flask_admin_are_options(host):
    guide = (Path(__file__).parents[2] / "docs/how-to/migrate-from-flask-admin.md").read_text()
    code = re.search(r"```python\n(class StockView.*?)```", guide, re.DOTALL)[1]
    names: dict[str, Any] = {"ModelView": ModelView}
    exec(code, names)  # noqa: S102 - what the guide tells people to write
    view = host.add(names["StockView"])
    page = host.get("/admin/post/")
    assert "/admin/post/details/" not in page
    assert 'type="search" name="search"' not in page
    assert [name for name, _ in view._list_columns][0] == "title"
    assert "Is Open" in page


@pytest.mark.filterwarnings("ignore:Yielding raw tuples:DeprecationWarning")
def test_a_relationship_may_be_a_list_of_its_rows_again(host):
    class View(ModelView):
        form_args = {"author": {"query_factory": lambda: host.db.session.query(Author)}}

    host.add(View)
    page = host.get("/admin/post/edit/?id=1")
    assert re.search(r'<select[^>]*name="author"', page)
    host.post("/admin/post/edit/?id=1", author="2")
    assert host.row().author_id == 2
