"""Every write of the admin: one `ChangeSet`, one transaction.

`change_set` opens it; what is added, changed or deleted through it is flushed at once, so that the
database's objections are met while it is known which row they concern, and committed when the
block ends. Whatever goes wrong rolls all of it back. An objection of the database becomes
`WriteRefused`, with sentences and the attributes they belong to; nobody is shown SQL.

Audit rows, preview, conflicts and undo belong here as well.
"""

from __future__ import annotations

from admin_app.changes.audit import ChangeSetRecord, RowChangeRecord
from admin_app.changes.chain import ChainRecord
from admin_app.changes.preview import is_preview
from admin_app.changes.refusals import explain
from admin_app.changes.sets import (
    TOKEN_LIFE,
    AlreadySaved,
    ChangeSet,
    FormToken,
    answer_to,
    change_set,
)

__all__ = [
    "TOKEN_LIFE",
    "AlreadySaved",
    "ChainRecord",
    "ChangeSet",
    "ChangeSetRecord",
    "FormToken",
    "RowChangeRecord",
    "answer_to",
    "change_set",
    "explain",
    "is_preview",
]
