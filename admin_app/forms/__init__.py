"""From a mapper to a WTForms form that loses nothing.

Each column gets a `ColumnField` around a `Codec`, which writes a value as the text of a control
and reads it back, chosen by ``isinstance`` on the column's type; booleans, enums, binaries and
relationships have fields of their own. All share one rule: a field that was not in the POST, or
whose text is the text that was shown, writes nothing. What cannot be edited safely is shown as
text (`ReadOnlyField`), never dropped.

Relationships hold only the rows that are chosen; others are looked up as the operator types
(`PickerField`, fed by a `Lookup` that the view gives).
"""

from admin_app.forms.by_type import choices_for as choices_for
from admin_app.forms.by_type import codec_for as codec_for
from admin_app.forms.by_type import enum_options as enum_options
from admin_app.forms.codecs import Codec as Codec
from admin_app.forms.conversion import ModelConverter as ModelConverter
from admin_app.forms.conversion import attribute_for as attribute_for
from admin_app.forms.conversion import default_keys as default_keys
from admin_app.forms.conversion import keys_of as keys_of
from admin_app.forms.conversion import scaffold as scaffold
from admin_app.forms.model_form import ModelFormMixin as ModelFormMixin
from admin_app.forms.pickers import Lookup as Lookup
from admin_app.forms.pickers import PickerField as PickerField
