"""Writes docs/reference/options.md from the options of `ModelView`: ``make docs``.

Names and defaults are read off the class. What an option of ours means stands as a docstring under
it in options.py; what one of Flask-Admin's means stands here, in our words.
"""

from __future__ import annotations

import ast
import inspect
from pathlib import Path
from typing import Any

from flask_admin.contrib.sqla import ModelView as FlaskAdminModelView

from admin_app import ModelView, options

PAGE = Path(__file__).parent / "reference" / "options.md"

INHERITED: dict[str, dict[str, str]] = {
    "What may be done": {
        "can_create": "Whether rows can be created.",
        "can_edit": "Whether rows can be changed.",
        "can_delete": "Whether rows can be deleted, one by one and as an action.",
        "can_view_details": "Whether a row has a page that shows all of it.",
        "can_export": "Whether rows can be downloaded. None means: by whom the policy allows "
        "`export`; in a `flask_admin.Admin`, which has no policy, by nobody.",
        "action_disallowed_list": "Names of actions that are not offered and not run.",
    },
    "Columns of the list": {
        "column_list": "The columns, as names, attributes or dotted paths such as "
        "`customer.name`. Without it: the key, the label, and the first ten that fit a list.",
        "column_exclude_list": "Columns to leave out of what would be shown.",
        "column_labels": "Headings and field labels, by column name.",
        "column_descriptions": "Explanations of headings and fields, by column name.",
        "column_formatters": "Functions `(view, context, model, name)` that make what a cell "
        "shows, by column name; Markup is printed as it is, all else is escaped. Also on the "
        "details page, unless that has formatters of its own.",
        "column_type_formatters": "Functions `(view, value, name)` that make what values of a "
        "Python type show; the types that Flask-Admin lists by itself are shown by ours.",
        "column_choices": "Words for stored values, by column name: pairs of value and word.",
        "column_display_pk": "Whether the primary key is one of the columns.",
        "column_display_all_relations": "Whether collections are shown too, as their number.",
        "column_display_actions": "Whether each row has its links to edit, delete and the like.",
        "column_extra_row_actions": "Objects of `flask_admin.model.template` that add links to "
        "each row.",
        "ignore_hidden": "Whether attributes that begin with `_` are left out of list and form.",
        "column_editable_list": "Columns whose cells are edited where they stand, by the fields of "
        "the form, alone or all of a page together; see also `column_editable_all`.",
    },
    "Search, filters and order": {
        "column_searchable_list": "What a search looks into, also through relationships; `^`, `=` "
        "or `@` before a name says how. Without it: text columns and whole-number or UUID keys; "
        "`[]` switches the search off.",
        "column_filters": "Columns and relationships, or filters of Flask-Admin's, that a list "
        "offers to be narrowed by; without the option everything, and nothing with `[]`.",
        "filter_converter": "What makes filters of columns.",
        "named_filter_urls": "Whether filters in addresses go by name and not by position.",
        "column_sortable_list": "What a list can be ordered by: names, or pairs of a column and "
        "the path (or paths) that order it. Without it: every column that has an order.",
        "column_default_sort": "The order of a list that nobody has ordered: a name, `(name, "
        "is_descending)`, or a list of these. The primary key always comes last.",
    },
    "Pages of the list": {
        "page_size": "Rows on a page.",
        "page_size_options": "Sizes to choose from.",
        "can_set_page_size": "Whether another size can be chosen.",
        "simple_list_pager": "Whether rows are not counted, which spares a statement.",
    },
    "Details": {
        "column_details_list": "What the details page shows; without it everything but secrets.",
        "column_details_exclude_list": "What the details page leaves out.",
        "column_formatters_detail": "`column_formatters` for the details page.",
        "column_type_formatters_detail": "`column_type_formatters` for the details page.",
    },
    "Forms": {
        "form_columns": "The fields, in their order. Without it: every column and relationship "
        "that can be edited safely.",
        "form_excluded_columns": "Attributes that get no field.",
        "form_args": "Keyword arguments for fields, by name: `label`, `description`, "
        "`validators` …",
        "form_overrides": "Field classes of WTForms to use instead of ours, by name.",
        "form_widget_args": "HTML attributes of controls, by field name.",
        "form_choices": "A list to choose from instead of free text, by field name: pairs of "
        "value and word, or of the words of a group and the list of its pairs.",
        "form_extra_fields": "Further fields of WTForms, by name. Where the model has no such "
        "attribute, `on_model_change` reads them.",
        "form_optional_types": "Types of columns whose fields may be left empty although the "
        "column may not be NULL.",
        "form_ajax_refs": "Options of the search in pickers, by relationship: `fields` to look "
        "into, or a loader of Flask-Admin's. Pickers search without it too.",
        "form_rules": "Which fields a form has, in which order and under which headings, as "
        "names or rules of `flask_admin.form.rules`; what is left out cannot be written.",
        "form_create_rules": "`form_rules` for new rows.",
        "form_edit_rules": "`form_rules` for existing rows.",
        "form": "A form class of yours, used as it is.",
        "form_base_class": "What the form class inherits from.",
        "inline_models": "Classes whose rows are edited inside the form of the row they belong "
        "to, as in Flask-Admin.",
        "model_form_converter": "What makes fields of columns and relationships.",
        "inline_model_form_converter": "What makes the forms of `inline_models`.",
    },
    "Export": {
        "export_types": "File types to offer; any other than these four is written by tablib.",
        "export_max_rows": "Rows that a file may have; 0 is no limit.",
        "column_export_list": "The columns of the file, when they are not those of the list.",
        "column_export_exclude_list": "Columns to leave out of the file.",
        "column_formatters_export": "`column_formatters` for the file.",
        "column_type_formatters_export": "`column_type_formatters` for the file.",
    },
    "Templates and files": {
        "list_template": "The template of the list.",
        "create_template": "The template of the form for a new row.",
        "edit_template": "The template of the form for an existing row.",
        "details_template": "The template of the details page.",
        "extra_css": "Addresses of style sheets to load on every page of the view.",
        "extra_js": "Addresses of scripts to load on every page of the view.",
    },
    "Accepted, and without effect": {
        "column_auto_select_related": "Related rows of a list always come with its rows.",
        "column_select_related_list": "As above.",
        "fast_mass_delete": "Rows are always deleted by the rules of the mapping.",
        "create_modal": "Forms and details are pages of their own, which can be linked to.",
        "edit_modal": "As above.",
        "details_modal": "As above.",
        "create_modal_template": "As above.",
        "edit_modal_template": "As above.",
        "details_modal_template": "As above.",
    },
}

HOOKS: dict[str, str] = {
    "on_model_change": "Called inside the transaction before a new or changed row is written; "
    "raise `wtforms.ValidationError` to refuse.",
    "after_model_change": "Called after it was committed.",
    "on_model_delete": "Called inside the transaction before a row is deleted.",
    "after_model_delete": "Called after it was committed.",
    "get_query": "The rows that exist for this view: a `select()` or a `Query`. Lists, forms, "
    "details, deletes and pickers of other views all start from it.",
    "get_list": "Where the list comes from, for rows that are not in the database.",
    "get_one": "The row that an address names.",
    "create_form": "The form for a new row.",
    "edit_form": "The form for an existing row.",
    "get_form_fieldsets": "The groups of the form of a row; `model` is None for a new one.",
    "get_form_readonly_columns": "What the form of a row shows as text; `model` is None for a new "
    "one.",
    "get_site_url": "The address of a row on the public site.",
    "get_search_condition": "What a search narrows the list by: the condition that it has made, or "
    "another.",
    "on_form_prefill": "Called before the form of an existing row is shown.",
    "build_new_instance": "The instance that a form for a new row fills.",
    "create_model": "Writes a new row; returns it, or False.",
    "update_model": "Writes a changed row; returns whether it did.",
    "delete_model": "Deletes a row; returns whether it did.",
    "handle_view_exception": "Told of an error while saving; True says that it was explained.",
    "get_save_return_url": "Where a save leads.",
    "is_accessible": "Whether the view can be seen, besides what the policy says.",
    "is_visible": "Whether the view is in the menu.",
    "is_action_allowed": "Whether an action is offered and run.",
    "get_export_name": "The name of an exported file.",
}

HEAD = """\
# Options

Attributes of a view, all of them optional:

    class OrderView(ModelView):
        column_list = ("number", "customer", "placed_at")
        can_delete = False

The names are Flask-Admin's. This page is made by `make docs` from the class itself.
"""


def defaults() -> dict[str, Any]:
    """Every option of `ModelView` with its default."""
    found = {}
    for name in dir(ModelView):
        value = inspect.getattr_static(ModelView, name)
        if name.startswith("_") or isinstance(value, staticmethod | classmethod | property):
            continue
        if not callable(value) or isinstance(value, type):
            found[name] = _default(ModelView, name)
    return found


def own_docstrings() -> dict[str, str]:
    """The literals that stand under attributes of `ModelOptions`."""
    [body] = [
        node.body
        for node in ast.parse(inspect.getsource(options)).body
        if isinstance(node, ast.ClassDef)
    ]
    found = {}
    for node, below in zip(body, body[1:], strict=False):
        target = node.target if isinstance(node, ast.AnnAssign) else None
        target = node.targets[0] if isinstance(node, ast.Assign) else target
        if isinstance(target, ast.Name) and isinstance(below, ast.Expr):
            found[target.id] = inspect.cleandoc(ast.literal_eval(below.value)).replace("\n", " ")
    return found


def page() -> str:
    """The whole page."""
    known, ours = defaults(), own_docstrings()
    parts = [HEAD]
    own = {name: text for name, text in ours.items() if name in known}
    for title, described in {"Of our own": own, **INHERITED}.items():
        parts.append(f"## {title}\n\n| option | default | what it is |\n|---|---|---|\n")
        for name, text in described.items():
            parts[-1] += f"| `{name}` | {_shown(known[name])} | {text}{_difference(name)} |\n"
    parts.append("## Hooks\n\nMethods to override.\n\n| method | what it does |\n|---|---|\n")
    for name, text in HOOKS.items():
        arguments = ", ".join(list(inspect.signature(getattr(ModelView, name)).parameters)[1:])
        parts[-1] += f"| `{name}({arguments})` | {text} |\n"
    return "\n".join(parts)


def _default(view: type[Any], name: str) -> Any:
    value = inspect.getattr_static(view, name)
    # Options that had another name before answer through a descriptor of Flask-Admin's.
    return getattr(value, "default", value)


def _shown(value: Any) -> str:
    match value:
        case None:
            return ""
        case bool() | int() | str():
            return f"`{value!r}`"
        case list() | tuple() if value:
            return ", ".join(f"`{getattr(item, '__name__', repr(item))}`" for item in value)
        case type():
            return f"`{value.__name__}`"
        case list() | tuple() | dict():
            return "Flask-Admin's" if value else "none"
    return f"a `{type(value).__name__}`"


def _difference(name: str) -> str:
    """What Flask-Admin's default is, where it is another plain value."""
    if not hasattr(FlaskAdminModelView, name):
        return ""
    stock = _default(FlaskAdminModelView, name)
    if stock == _default(ModelView, name) or isinstance(stock, type):
        return ""
    return f" In Flask-Admin: {_shown(stock) or 'none'}."


if __name__ == "__main__":
    PAGE.write_text(page(), "utf-8")
