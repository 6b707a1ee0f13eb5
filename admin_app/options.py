"""`ModelOptions`: every option of a model's pages that is not Flask-Admin's, or differs from it.

Its docstrings are the reference: docs/reference/options.md is made of them.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from sqlalchemy import orm

from admin_app import _flask_admin, forms
from admin_app.forms import widgets


class ModelOptions:
    """The options of `admin_app.ModelView`, and the hooks that choose them by row."""

    model: Any
    mapper: orm.Mapper[Any]

    form_columns: Any = None
    form_extra_fields: Any = None

    column_display_pk = True
    can_view_details = True
    can_set_page_size = True
    can_save_as_new = True
    """Whether the form of a row offers to save what it holds as a new row."""
    page_size = 50
    page_size_options: tuple[int, ...] = (20, 50, 100, 200)
    named_filter_urls = True
    model_form_converter: Any = forms.ModelConverter
    inline_model_form_converter: Any = _flask_admin.InlineConverter
    form_excluded_columns: Any = None
    description: str | None = None
    """A sentence under the title of the list; the table's comment when there is none."""

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
        return url if is_local or widgets.safe_link(url) else None
