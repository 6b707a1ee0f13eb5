"""What a mapped class is, asked of SQLAlchemy's mapper and of nothing else.

Columns and relationships with the facts that pages need (`columns`, `relationships`), the words
for them (`words`, `plural`), the way an identity is written in a URL and read back
(`IdentityText`), and how a row is called (`Label`), with the relationships that its ``__str__``
will touch, so that a list can load them in advance.

All of it depends on the mapping alone, so it is worked out once per mapper and kept.
"""

from admin_app.inspection.hierarchies import is_union as is_union
from admin_app.inspection.hierarchies import own_rows as own_rows
from admin_app.inspection.hierarchies import subtypes as subtypes
from admin_app.inspection.identities import IdentityText as IdentityText
from admin_app.inspection.identities import identity_text as identity_text
from admin_app.inspection.identities import read_part as read_part
from admin_app.inspection.identities import split_parts as split_parts
from admin_app.inspection.identities import write_part as write_part
from admin_app.inspection.labels import Label as Label
from admin_app.inspection.labels import chain as chain
from admin_app.inspection.labels import computed_needs as computed_needs
from admin_app.inspection.labels import label as label
from admin_app.inspection.labels import label_texts as label_texts
from admin_app.inspection.mapping import Column as Column
from admin_app.inspection.mapping import columns as columns
from admin_app.inspection.mapping import composite_keys as composite_keys
from admin_app.inspection.mapping import foreign_key_relationships as foreign_key_relationships
from admin_app.inspection.mapping import identity_keys as identity_keys
from admin_app.inspection.mapping import is_joinable as is_joinable
from admin_app.inspection.mapping import is_read_only as is_read_only
from admin_app.inspection.mapping import is_to_one as is_to_one
from admin_app.inspection.mapping import kept_columns as kept_columns
from admin_app.inspection.mapping import key_of as key_of
from admin_app.inspection.mapping import mapper_of as mapper_of
from admin_app.inspection.mapping import may_be_empty as may_be_empty
from admin_app.inspection.mapping import public_key as public_key
from admin_app.inspection.mapping import referred as referred
from admin_app.inspection.mapping import relationships as relationships
from admin_app.inspection.paths import Path as Path
from admin_app.inspection.paths import is_association_proxy as is_association_proxy
from admin_app.inspection.paths import is_hybrid as is_hybrid
from admin_app.inspection.paths import resolve as resolve
from admin_app.inspection.stored import BINARY as BINARY
from admin_app.inspection.stored import DIALECT as DIALECT
from admin_app.inspection.stored import INT64 as INT64
from admin_app.inspection.stored import bound as bound
from admin_app.inspection.stored import is_binary as is_binary
from admin_app.inspection.stored import is_decorated as is_decorated
from admin_app.inspection.stored import is_json as is_json
from admin_app.inspection.stored import is_long_text as is_long_text
from admin_app.inspection.stored import is_number as is_number
from admin_app.inspection.stored import is_orderable as is_orderable
from admin_app.inspection.stored import is_secret as is_secret
from admin_app.inspection.stored import is_text as is_text
from admin_app.inspection.stored import is_uuid as is_uuid
from admin_app.inspection.stored import json_as_stored as json_as_stored
from admin_app.inspection.stored import loaded as loaded
from admin_app.inspection.stored import stored_type as stored_type
from admin_app.inspection.wording import IRREGULAR as IRREGULAR
from admin_app.inspection.wording import plural as plural
from admin_app.inspection.wording import shorten as shorten
from admin_app.inspection.wording import words as words
