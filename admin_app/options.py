"""`ModelOptions`: every option of a model's pages that is not Flask-Admin's, or differs from it.

Its docstrings are the reference: docs/reference/options.md is made of them.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import sqlalchemy as sa
from sqlalchemy import orm

from admin_app import _flask_admin, chooser, forms
from admin_app.changes.delete_plan import DeletePlan, delete_plan
from admin_app.forms import widgets


class ModelOptions:
    """The options of `admin_app.ModelView`, and the hooks that choose them by row."""

    model: Any
    mapper: orm.Mapper[Any]
    get_session: Callable[[], Any]

    form_columns: Any = None
    form_extra_fields: Any = None

    column_display_pk = True
    can_export: Any = None
    export_types: Any = ("csv", "xlsx", "jsonl", "json")
    column_facets: Sequence[Any] | None = None
    """What can be counted and chosen beside the list, in this order: columns, relationships, and
    what is reached through relationships to one row. None chooses by type: enums, booleans, dates,
    foreign keys, and what has few values. An empty list takes the facets away."""
    can_view_details = True
    can_set_page_size = True
    can_run_actions = True
    """Whether the list has actions; without them its rows cannot be ticked."""
    can_edit_many = True
    """Whether fields can be edited in many rows at once, by the action "Edit…"."""
    can_save_as_new = True
    """Whether the form of a row offers to save what it holds as a new row."""
    page_size = 50
    page_size_options: tuple[int, ...] = (20, 50, 100, 200)
    column_editable_all = False
    """Whether every plain column of the list can be edited where it stands, not only those of
    `column_editable_list`: each that the form has, but for keys, JSON, files and collections."""
    named_filter_urls = True
    model_form_converter: Any = forms.ModelConverter
    inline_model_form_converter: Any = _flask_admin.InlineConverter
    form_excluded_columns: Any = None
    change_reason: str | None = None
    """Whether a change asks for its reason, which the history keeps: ``"optional"`` shows a field
    for it in forms, deletes, cells and actions that ask first; ``"required"`` saves nothing
    without one."""
    description: str | None = None
    """A sentence under the title of the list; the table's comment when there is none."""
    search_help_text: str | None = None
    """A sentence under the search box: what it finds, and how to ask."""

    can_import = True
    """Whether rows can be imported from files, by whom the policy allows `import` beside `add` or
    `change`."""

    can_choose_columns = True
    """Whether visitors may choose the columns of the list, their order and their width."""
    column_choosable_list: Sequence[str] | None = None
    """What they may choose besides the columns of the list, by dotted name; without it, whatever
    they may read, also of the rows that it leads to. `column_exclude_list` is never on offer."""
    columns_template = "admin/model/columns.html"
    """The page that chooses the columns of the list."""
    column_link_list: Sequence[str] | None = None
    """The columns of the list that lead to the row; without it, its key and what it is called."""

    form_fieldsets: Any = None
    """The groups of the form: pairs of a title, or None, and the names of its fields; a tuple of
    names shares one line. Instead of the names, a dict with `fields`, `description` and `classes`:
    `collapse` folds the group, `tab` makes it a tab, `wide` gives each field a whole line.
    Fields that no group names are left out."""
    form_readonly_columns: Sequence[Any] = ()
    """What the form shows as text: columns, relationships, properties, methods."""
    form_radio_columns: Sequence[Any] = ()
    """Fields whose choices are radio buttons instead of a select."""
    form_multiple_widgets: Mapping[str, str] = {}
    """How a to-many relationship is chosen, by name: `checkboxes` where there are few rows to
    choose from, `boxes` for two boxes side by side, `picker` as without this option."""
    form_prepopulated_fields: Mapping[str, Sequence[str]] = {}
    """Fields that a script makes of others while these are typed, by name:
    `{"slug": ("name",)}`. One that holds something, or was typed in, is left alone."""
    view_on_site: bool | Callable[[Any], str | None] = True
    """Whether pages of a row lead to its place on the public site, which the model's
    `get_absolute_url` tells; or a method that takes the row and tells it."""

    delete_template = "admin/model/delete.html"
    """The page that shows what a delete would do, and asks."""

    def get_delete_plan(self, rows: Sequence[Any]) -> DeletePlan:
        """What deleting ``rows`` would do, for the page that asks and for the delete itself.

        Override it to look less far (``limit``), or to let what blocks pass.
        """
        identities = [sa.inspect(row).identity for row in rows]
        return delete_plan(self.get_session(), self.mapper, identities)

    def get_visible_columns(self) -> list[tuple[str, str]]:
        """The columns that the list has for whom it is shown to, as pairs of name and label."""
        return chooser.readable(self)

    def get_search_condition(
        self, search: str, condition: sa.ColumnElement[bool]
    ) -> sa.ColumnElement[bool]:
        """What rows of a list that is searched for ``search`` meet: ``condition``, or another.

        Override it to find more, as by ``sa.or_(condition, …)``, or to find otherwise.
        """
        return condition

    def get_form_fieldsets(self, model: Any) -> Any:
        """The groups of the form of ``model``, which is None for a new row."""
        return self.form_fieldsets

    def get_form_readonly_columns(self, model: Any) -> Sequence[Any]:
        """What the form of ``model``, which is None for a new row, shows as text."""
        return self.form_readonly_columns

    def get_site_url(self, model: Any) -> str | None:
        """The address of ``model`` on the public site, if it has one."""
        hook = self.view_on_site
        if callable(hook):
            url = hook(model)
        else:
            own = getattr(model, "get_absolute_url", None) if hook else None
            url = own() if callable(own) else None
        if not isinstance(url, str):
            return None
        is_local = url.startswith("/") and not url.startswith(("//", "/\\"))
        return url if is_local else widgets.safe_link(url)
