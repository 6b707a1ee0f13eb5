"""The route of a view that sends binary content as a file, and who may have which."""

from __future__ import annotations

from typing import Any

from flask import request
from flask.typing import ResponseReturnValue
from flask_admin.base import expose

from admin_app import downloads, forms, inspection, subtypes
from admin_app.errors import NotFound


class FileRoutes:
    """What a view has for the files in its rows."""

    mapper: Any
    may: Any
    get_url: Any
    get_session: Any
    get_pk_value: Any
    _requested: Any
    _edit_form_class: Any
    _details_columns: Any
    _list_columns: Any

    @expose("/download/")
    def download(self) -> ResponseReturnValue:
        """The binary content of one row's ``column`` as a file; ``show`` asks for an image."""
        key = request.args.get("column", "")
        _, model = self._requested("view")
        if not subtypes.for_row(self, model)._may_download(key):
            raise NotFound("There is no such file here.")
        is_shown = "show" in request.args
        return downloads.response(self.get_session(), model, key, is_shown=is_shown)

    def _may_download(self, key: str) -> bool:
        """Whether some page of this view shows the binary column ``key`` to this visitor."""
        shown = {name for name, _ in (*self._details_columns, *self._list_columns)}
        return (
            downloads.can_be_sent(inspection.columns(self.mapper).get(key))
            and (key in shown or hasattr(self._edit_form_class, forms.attribute_for(key)))
            and self.may("view", key)
        )

    def download_url(self, key: str, instance: Any) -> str | None:
        """Where the binary column ``key`` of ``instance`` is fetched; None when it may not be."""
        if not self._may_download(key):
            return None
        url: str = self.get_url(".download", id=self.get_pk_value(instance), column=key)
        return url
