"""From a mapper and a view's ``form_*`` options to a form class."""

from __future__ import annotations

import functools
from collections.abc import Mapping, Sequence
from typing import Any

import sqlalchemy as sa
import wtforms
from flask_admin import form as flask_admin_form
from flask_admin.contrib.sqla.form import AdminModelConverter
from markupsafe import escape
from sqlalchemy import orm
from sqlalchemy.ext.associationproxy import AssociationProxyInstance
from sqlalchemy.ext.hybrid import hybrid_property
from wtforms.fields.core import UnboundField

from admin_app import constraints, inspection
from admin_app.errors import ConfigurationError, InvalidRequest
from admin_app.forms.by_type import choices_for, codec_by_dialect, is_password
from admin_app.forms.codecs import TextCodec
from admin_app.forms.fields import (
    BinaryField,
    CheckboxField,
    ChoiceField,
    ColumnField,
    ReadOnlyField,
)
from admin_app.forms.model_form import ModelFormMixin
from admin_app.forms.pickers import (
    KeyPickerField,
    Lookup,
    PickerField,
    ProxyPickerField,
    QueryField,
    QueryMultipleField,
)
from admin_app.forms.widgets import ShownField


class ModelConverter(AdminModelConverter):
    """Chooses the field for each attribute, honouring Flask-Admin's ``form_*`` options.

    Plugged in as ``model_form_converter``; a subclass of Flask-Admin's so that its inline forms
    and a host's own converters go on working.
    """

    view: Any

    def convert(
        self,
        model: type[Any],
        mapper: orm.Mapper[Any],
        name: str,
        prop: Any,
        field_args: Mapping[str, Any] | None,
        hidden_pk: bool,
    ) -> Any:
        kwargs: dict[str, Any] = {"validators": [], "filters": [], **(field_args or {})}
        kwargs["validators"] = list(kwargs["validators"])
        kwargs.setdefault("label", self.label_of(name, prop))
        if isinstance(prop, orm.RelationshipProperty):
            return self._relationship(mapper, prop, kwargs)
        if isinstance(prop, hybrid_property):
            return self._hybrid(mapper, name, prop, kwargs)
        if isinstance(prop, AssociationProxyInstance):
            return self._proxy(mapper, name, prop, kwargs)
        if not isinstance(prop, orm.ColumnProperty):
            return None
        column = inspection.columns(mapper).get(prop.key)
        if column is None:
            return None
        if hidden_pk and column.is_primary_key:
            return wtforms.HiddenField()
        description = self._get_description(prop.key, kwargs) or column.comment  # type: ignore[arg-type]
        kwargs["description"] = escape(description) if description else ""
        override = self._get_field_override(prop.key)
        if override is not None:
            return override(**self._override_arguments(column, kwargs))
        if kwargs["validators"] and self._may_be_blank(column):
            # Ours let nothing through that must not be empty; a host's must let what may be.
            kwargs["validators"].append(wtforms.validators.Optional())
        choices = (getattr(self.view, "form_choices", None) or {}).get(prop.key)
        if choices:
            given = choices.items() if isinstance(choices, Mapping) else choices
            options = [c if isinstance(c, list | tuple) else (c, c) for c in given]
            return ChoiceField(
                options=[(o[0], o[1]) for o in options], **self._common(column), **kwargs
            )
        return self._column(mapper, column, kwargs)

    def label_of(self, key: str, prop: Any) -> str:
        """What the field of the attribute ``key`` is called."""
        labels = getattr(self.view, "column_labels", None) or {}
        # A picker for customer_id is called «Customer»; a key that is typed is the id that it is.
        is_key = isinstance(prop, orm.ColumnProperty) and not any(
            column.foreign_keys for column in prop.columns
        )
        prettify = getattr(self.view, "_prettify_name", inspection.words)
        return labels.get(key) or str(prettify(key if is_key else key.removesuffix("_id")))

    def _override_arguments(
        self, column: inspection.Column, kwargs: dict[str, Any]
    ) -> dict[str, Any]:
        if self._may_be_blank(column):
            kwargs["validators"].append(wtforms.validators.Optional())
        else:
            kwargs["validators"].append(wtforms.validators.InputRequired())
        default = _scalar_default(column)
        if default is not None:
            kwargs.setdefault("default", default)
        return kwargs

    def _may_be_blank(self, column: inspection.Column) -> bool:
        return column.is_nullable or column.is_generated or self._is_optional(column)

    def _is_optional(self, column: inspection.Column) -> bool:
        """Whether ``form_optional_types`` of the host lets a NOT NULL column be left blank."""
        optional = tuple(getattr(self.view, "form_optional_types", None) or (sa.Boolean,))
        return isinstance(column.type, optional)

    def _common(self, column: inspection.Column) -> dict[str, Any]:
        return {
            "is_nullable": column.is_nullable,
            "is_generated": column.is_generated,
            "is_key": column.is_primary_key,
        }

    def _column(
        self, mapper: orm.Mapper[Any], column: inspection.Column, kwargs: dict[str, Any]
    ) -> Any:
        type_ = column.type
        is_binary = inspection.is_binary(type_) and not is_password(type_)
        # What a decorator makes of binary content is no file that somebody could send.
        if column.is_readonly or (is_binary and inspection.is_decorated(type_)):
            is_copied = not column.is_readonly
            return ReadOnlyField(is_binary=is_binary, is_of_column=is_copied, **kwargs)
        if is_binary:
            link = getattr(self.view, "download_url", None)
            return BinaryField(
                link=link and functools.partial(link, column.key),
                is_nullable=column.is_nullable,
                is_generated=column.is_generated,
                **kwargs,
            )
        default = _scalar_default(column)
        if default is not None:
            kwargs.setdefault("default", default)
        common = self._common(column)
        is_boolean = isinstance(type_, sa.Boolean)
        if is_boolean and not column.is_nullable and not column.is_primary_key:
            kwargs.setdefault("default", False)
            return CheckboxField(**kwargs)
        choices = choices_for(type_)
        if choices is not None:
            return ChoiceField(
                options=choices[0],
                text_of=choices[1],
                aliases=_stored_texts(type_),
                **common,
                **kwargs,
            )
        target = self._key_target(mapper, column)
        if target is not None:
            return KeyPickerField(
                lookup=target[0],
                target_key=target[1],
                is_nullable=column.is_nullable,
                is_key=column.is_primary_key,
                **kwargs,
            )
        codec = codec_by_dialect(type_, self.view.dialect_name)
        if codec is None:
            kwargs["description"] = kwargs.get("description") or NOT_TYPED
            return ReadOnlyField(is_of_column=True, **kwargs)
        limit = constraints.limits(mapper).get(column.key)
        if limit is not None and limit.choices and isinstance(codec, TextCodec):
            options = [(choice, choice) for choice in limit.choices]
            return ChoiceField(options=options, **common, **kwargs)
        if limit is not None:
            kwargs["description"] = kwargs.get("description") or limit.sentence
        return ColumnField(
            codec=codec,
            is_secret=inspection.is_secret(column.key) or is_password(type_),
            keeps_blank=inspection.is_text(type_) and self._is_optional(column),
            dialect=self.view.dialect_name,
            limit=limit,
            **common,
            **kwargs,
        )

    def _key_target(
        self, mapper: orm.Mapper[Any], column: inspection.Column
    ) -> tuple[Lookup, str] | None:
        """Where to pick the value of a foreign key without relationship from, and what to take."""
        is_mapped = column.key in inspection.columns(mapper)
        target = inspection.referred(mapper, column.key) if is_mapped else None
        if target is None or not hasattr(self.view, "lookup_for_table"):
            return None
        return self.view.lookup_for_table(*target), target[1]

    def _hybrid(
        self,
        mapper: orm.Mapper[Any],
        key: str,
        prop: hybrid_property[Any],
        kwargs: dict[str, Any],
    ) -> Any:
        """A field for a hybrid that has a setter; None for one that is shown only.

        Its type is that of its expression, unless ``form_overrides`` names a field for it.
        """
        if prop.fset is None:
            return None
        kwargs["description"] = escape(self._get_description(key, kwargs) or "")  # type: ignore[arg-type]
        override = self._get_field_override(key)
        if override is not None:
            kwargs["validators"].append(wtforms.validators.Optional())
            return override(**kwargs)
        try:
            found = getattr(mapper.class_, key)
            expression = getattr(found, "expression", found)
        except Exception:  # the host's own code, which may know no expression
            return None
        if not isinstance(expression, sa.ColumnElement):
            return None
        column = inspection.Column(
            key=key,
            column=expression,
            is_expression=False,
            is_primary_key=False,
            is_deferred=False,
            is_readonly=False,
        )
        field = self._column(mapper, column, kwargs)
        if field.field_class is ReadOnlyField:
            return None
        # What is left blank leaves the hybrid alone; no default of a database stands behind it.
        return UnboundField(field.field_class, *field.args, **{**field.kwargs, **_AS_TYPED})

    def _proxy(
        self,
        mapper: orm.Mapper[Any],
        key: str,
        proxy: AssociationProxyInstance[Any],
        kwargs: dict[str, Any],
    ) -> Any:
        """A picker for the far rows of a collection of association objects; else None.

        A proxy to anything else is shown: what stands behind it is edited where it stands.
        """
        near = inspection.relationships(mapper).get(proxy.target_collection)
        far = near and inspection.relationships(near.mapper).get(proxy.value_attr)
        if near is None or far is None or not near.uselist or far.uselist or near.viewonly:
            return None
        if far.viewonly or near.lazy in ("dynamic", "write_only"):
            return None
        kwargs["description"] = escape(self._get_description(key, kwargs) or "")  # type: ignore[arg-type]
        override = self._get_field_override(key)
        if override is not None:
            return override(**kwargs)
        for name in ("allow_blank", "get_label"):
            kwargs.pop(name, None)
        return ProxyPickerField(
            lookup=self.view.lookup_for(far, key),
            is_multiple=True,
            relationship_key=near.key,
            far_key=far.key,
            creator=proxy.parent.creator,
            **kwargs,
        )

    def _relationship(
        self, mapper: orm.Mapper[Any], prop: orm.RelationshipProperty[Any], kwargs: dict[str, Any]
    ) -> Any:
        if prop.viewonly or prop.lazy in ("dynamic", "write_only"):
            return None
        kwargs["description"] = escape(self._get_description(prop.key, kwargs) or "")  # type: ignore[arg-type]
        is_nullable = inspection.may_be_empty(prop)
        override = self._get_field_override(prop.key)
        if override is not None or "query_factory" in kwargs:
            kwargs["validators"].append(
                wtforms.validators.Optional() if is_nullable else wtforms.validators.InputRequired()
            )
            if override is not None:
                return override(**kwargs)
            kwargs.setdefault("allow_blank", is_nullable)
            return QueryMultipleField(**kwargs) if prop.uselist else QueryField(**kwargs)
        is_key = (
            any(c.primary_key for c in prop.local_columns if c not in inspection.kept_columns(prop))
            and not prop.uselist
            and (prop.direction is orm.RelationshipDirection.MANYTOONE)
        )
        allow_blank = kwargs.pop("allow_blank", None)
        kwargs.pop("get_label", None)
        return PickerField(
            lookup=self.view.lookup_for(prop),
            is_multiple=bool(prop.uselist),
            is_nullable=is_nullable if allow_blank is None else bool(allow_blank),
            is_key=is_key,
            relationship_key=prop.key,
            kept=_kept_keys(mapper, prop),
            **kwargs,
        )


def _kept_keys(mapper: orm.Mapper[Any], prop: orm.RelationshipProperty[Any]) -> dict[str, str]:
    """The attributes that an optional relationship shares and cannot empty, with their targets."""
    kept = inspection.kept_columns(prop)
    pairs = {
        inspection.key_of(mapper, local): inspection.key_of(prop.mapper, remote)
        for local, remote in prop.local_remote_pairs or ()
        if local in kept
    }
    return {local: remote for local, remote in pairs.items() if local and remote}


NOT_TYPED = "Shown only: no text stands for every value of this type."

_AS_TYPED = {"is_generated": False, "is_nullable": True}


def _stored_texts(type_: sa.types.TypeEngine[Any]) -> dict[str, Any]:
    """The members of an enum by what is stored for them, which Flask-Admin's forms send."""
    if not isinstance(type_, sa.Enum) or type_.enum_class is None:
        return {}
    store: Any = type_.bind_processor(inspection.DIALECT)  # type: ignore[no-untyped-call]
    if store is None:
        return {}
    return {str(store(member)): member for member in type_.enum_class.__members__.values()}


def _scalar_default(column: inspection.Column) -> Any:
    default = getattr(column.column, "default", None)
    if default is not None and getattr(default, "is_scalar", False):
        return default.arg
    return None


_RESERVED = frozenset(dir(flask_admin_form.BaseForm)) | {"_obj", "Meta", "meta"}
"""Names on a form class that a field must not hide; such a field hides behind an underscore."""


def attribute_for(key: str) -> str:
    """The name under which the field of attribute ``key`` stands on the form class."""
    if key.startswith("_"):
        # WTForms takes no attribute for a field that begins so.
        return f"field{key}"
    return f"{key}_field" if key in _RESERVED else key


def default_keys(mapper: orm.Mapper[Any]) -> list[str]:
    """The attributes of a form without options, in an order that an operator expects.

    Keys that somebody has to give, then columns in the order of the mapping with each
    relationship in the place of its foreign key, then many-to-many relationships.
    """
    keys: list[str] = []
    covered = inspection.foreign_key_relationships(mapper)
    discriminator = mapper.polymorphic_on
    for column in inspection.columns(mapper).values():
        public = inspection.public_key(mapper, column.key)
        if public is None:
            continue
        key = covered.get(column.key, public)
        if key == public:
            if column.is_primary_key and column.is_generated:
                continue
            if column.column is mapper.version_id_col or column.column is discriminator:
                continue
            if column.is_primary_key and column.foreign_keys and mapper.inherits is not None:
                continue
        if key not in keys:
            keys.append(key)
    for key, relationship in inspection.relationships(mapper).items():
        if key.startswith("_") or key in keys or relationship.viewonly:
            continue
        if relationship.secondary is not None and relationship.lazy not in (
            "dynamic",
            "write_only",
        ):
            keys.append(key)
    return keys


def keys_of(form_class: type[wtforms.Form], mapper: orm.Mapper[Any]) -> list[str]:
    """The columns and relationships of ``mapper`` that have a field in ``form_class``."""
    keys = [*inspection.columns(mapper), *inspection.relationships(mapper), *mapper.synonyms.keys()]
    return [key for key in keys if hasattr(form_class, attribute_for(key))]


def scaffold(
    mapper: orm.Mapper[Any],
    converter: ModelConverter,
    *,
    base_class: type[wtforms.Form],
    only: Sequence[Any] | None = None,
    exclude: Sequence[Any] | None = None,
    field_args: Mapping[str, Any] | None = None,
    extra_fields: Mapping[str, UnboundField[Any]] | None = None,
    ignore_hidden: bool = True,
    hidden_key: bool = False,
) -> type[wtforms.Form]:
    """The form class for rows of ``mapper``; the arguments are the ``form_*`` options of a view.

    With ``hidden_key`` the primary key is there but not seen: it tells the row of an inline form.
    """
    extra_fields = extra_fields or {}
    keys = [getattr(k, "key", k) for k in only] if only else default_keys(mapper)
    if hidden_key:
        identity = inspection.identity_keys(mapper)
        keys = [*identity, *(k for k in keys if k not in identity)]
    keys = [part for k in keys for part in inspection.composite_keys(mapper, k) or (k,)]
    excluded = {getattr(k, "key", k) for k in exclude or ()}
    fields: dict[str, Any] = {}
    for key in keys:
        if key in extra_fields:
            fields[key] = flask_admin_form.recreate_field(extra_fields[key])
            continue
        is_hidden = ignore_hidden and not only and inspection.public_key(mapper, key) is None
        if key in excluded or is_hidden:
            continue
        try:
            prop = _property(mapper, key)
        except InvalidRequest as error:
            name = mapper.class_.__name__
            raise ConfigurationError(
                f"The form of {name} cannot have a field “{key}”. {error.sentence}"
            ) from error
        field = converter.convert(
            mapper.class_, mapper, key, prop, (field_args or {}).get(key), hidden_key
        )
        if field is None and only and not hidden_key:
            field = ShownField(label=converter.label_of(key, prop))
        if field is None:
            continue
        if attribute_for(key) != key and isinstance(field, UnboundField):
            field = UnboundField(field.field_class, *field.args, name=key, **field.kwargs)
        fields[attribute_for(key)] = field
    if not only:
        for key, extra in extra_fields.items():
            fields[key] = flask_admin_form.recreate_field(extra)
    return type(f"{mapper.class_.__name__}Form", (ModelFormMixin, base_class), fields)


def _property(mapper: orm.Mapper[Any], key: str) -> Any:
    if inspection.is_association_proxy(mapper, key):
        return getattr(mapper.class_, key)
    path = inspection.resolve(mapper, key)
    if path.relationships:
        raise InvalidRequest("It belongs to another row.")
    if path.column is None and path.relationship is None:
        return path.hybrid
    return mapper.attrs[path.key]
