"""Rows of one mapped class, as a page, a count, a picker or an export wants them.

A `Listing` knows what may be shown, searched and ordered by; a `ListState` is what one URL asks
of it. Together they make the statements: `Listing.statement` for the rows with everything that
their columns need (related labels by join, sizes of binaries and counts of collections as extra
columns, so a page costs one statement for its rows whatever its columns are), `Listing.count`,
`Listing.page` and `Listing.lookup`.

Every name that comes from a URL is looked up in a dictionary made from the mapper; what is not
there is ignored and said so in `ListState.notes`. Nothing of the web is known here.
"""

from __future__ import annotations

from admin_app.listing.loading import (
    form_options,
    is_out_of_reach,
    label_options,
    load_chains,
    load_options,
    members,
    members_count,
    members_counted,
    stored_texts,
)
from admin_app.listing.rows import Listing
from admin_app.listing.searching import fields as search_fields
from admin_app.listing.searching import signed
from admin_app.listing.selection import Selection
from admin_app.listing.state import COUNT_LIMIT, Chosen, Count, ListedRow, ListState, Order, Page
from admin_app.listing.streaming import PIECE, SMALL_PIECE, Columns, Wanted, pieces, snapshot
from admin_app.listing.tables import indexed as known_indexes
from admin_app.listing.tables import known as known_table

__all__ = [
    "COUNT_LIMIT",
    "Chosen",
    "Columns",
    "Count",
    "ListState",
    "ListedRow",
    "Listing",
    "Order",
    "PIECE",
    "Page",
    "SMALL_PIECE",
    "Selection",
    "Wanted",
    "form_options",
    "known_indexes",
    "known_table",
    "label_options",
    "is_out_of_reach",
    "load_chains",
    "load_options",
    "members",
    "members_count",
    "members_counted",
    "pieces",
    "search_fields",
    "signed",
    "snapshot",
    "stored_texts",
]
