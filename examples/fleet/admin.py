"""A few options for the admin of the sample.

Every model has a complete admin without any of this; what is here only says what the office looks
at first. The names are Flask-Admin's.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from flask import flash

from admin_app import ModelView, action
from admin_app.changes import change_set

from . import models


class OrderView(ModelView):
    """Orders, the newest first."""

    description = "What customers want carried, from where to where."
    column_list = ("number", "status", "customer", "placed_at", "deliver_on", "freight")
    column_searchable_list = ("number", "note", "customer.name")
    column_default_sort = ("placed_at", True)
    form_fieldsets = (
        (None, [("number", "status"), "customer"]),
        (
            "Route",
            {
                "fields": ["pickup_address", "delivery_address"],
                "description": "Where the goods are fetched, and where they are brought.",
                "classes": ["tab"],
            },
        ),
        (
            "Terms",
            {
                "fields": [("placed_at", "deliver_on"), ("freight", "is_express")],
                "classes": ["tab"],
            },
        ),
        ("Note", {"fields": ["note"], "classes": ["tab"]}),
        ("Times", {"fields": [("created_at", "updated_at")], "classes": ["collapse"]}),
    )
    form_readonly_columns = ("created_at", "updated_at")


class CustomerView(ModelView):
    """Customers, found by any of the names that the office has for them."""

    description = "Who sends and receives. The code is the one on the invoices."
    column_list = ("code", "name", "email", "phone", "credit_limit", "is_blocked")
    column_searchable_list = ("code", "name", "email", "vat_number")
    form_columns = (
        "code",
        "name",
        "email",
        "phone",
        "vat_number",
        "credit_limit",
        "is_blocked",
        "notes",
    )


class TaskView(ModelView):
    """Tasks; those that are done can be put into the archive, many at once."""

    description = "What is left to do, and the archive of what is done."
    column_list = ("title", "category", "due_on", "is_done", "driver", "order")
    column_editable_list = ("category", "due_on", "is_done", "driver")
    column_searchable_list = ("title", "details")

    @action("archive", "Archive", "Archive the selected tasks?")
    def archive(self, ids: Sequence[str]) -> None:
        """Put the chosen tasks into the archive."""
        tasks = [task for task in map(self.get_one, ids) if task is not None]
        with change_set(self.get_session(), self.principal(), "archive") as changes:
            for task in tasks:
                task.category = "Archived"
                changes.change(task)
        flash(f"{len(tasks)} of {len(ids)} tasks are archived.", "success")


class TelemetryView(ModelView):
    """Position reports come from the vehicles: nobody types them."""

    description = "Where each vehicle has been."
    can_create = False
    can_edit = False


VIEWS: dict[type[Any], type[ModelView]] = {
    models.Customer: CustomerView,
    models.Order: OrderView,
    models.Task: TaskView,
    models.Telemetry: TelemetryView,
}
