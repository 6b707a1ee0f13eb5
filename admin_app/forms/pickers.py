"""The fields of relationships: the chosen rows, and a way to find others as one types."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterable, Mapping, Sequence
from types import MappingProxyType
from typing import Any, Protocol
from urllib.parse import quote, unquote

import sqlalchemy as sa
import wtforms
from flask_admin.contrib.sqla.fields import QuerySelectField, QuerySelectMultipleField
from markupsafe import Markup
from sqlalchemy import orm

from admin_app import inspection, rendering
from admin_app.errors import NotFound
from admin_app.forms.fields import FLASK_ADMIN_BLANK, NEEDED, ModelFieldMixin, attributes_html

MEMBERS_LIMIT = 500
"""Members of a collection that a form lets edit; a longer one is shown as a number."""


class Lookup(Protocol):
    """Finds rows of a related class for a picker, within what the visitor may see."""

    mapper: orm.Mapper[Any]

    def url(self) -> str:
        """Where the browser asks for rows as the operator types."""

    def fetch(self, identities: Sequence[tuple[Any, ...]]) -> list[Any]:
        """The instances with these identities; those out of reach are left out."""

    def words(self, instance: Any) -> str:
        """What the row of ``instance`` is called here."""

    def find(self, key: str, value: Any) -> list[Any]:
        """The instance whose attribute ``key``, which is unique, has ``value``, if there is one."""

    def members(self, instance: Any, key: str, limit: int, far_key: str | None = None) -> list[Any]:
        """At most ``limit`` members of the collection ``key``, with their ``far_key`` loaded."""


class PickerWidget:
    """An input that holds keys; a script makes it a search box, without one it can be typed in."""

    validation_attrs = ("required",)

    def __call__(self, field: PickerField, **kwargs: Any) -> Markup:
        chosen = [{"id": i, "text": t} for i, t in field.chosen()]
        attributes = {
            "type": "text",
            "id": field.id,
            "name": field.name,
            "value": field.text(),
            "autocomplete": "off",
            "data-picker": True,
            "data-lookup-url": field.lookup.url(),
            "data-multiple": field.is_multiple,
            "data-required": not field.is_nullable,
            "data-chosen": json.dumps(chosen, ensure_ascii=False),
        }
        attributes.update(kwargs)
        if field.flags.required:
            attributes["required"] = True
        words = ", ".join(c["text"] for c in chosen)
        return Markup('<input {}><small class="picker-plain">{}</small>').format(
            attributes_html(attributes), words
        )


class PickerField(ModelFieldMixin, wtforms.Field):
    """The row, or rows, that a relationship leads to.

    ``data`` is the instance, or the list of instances; ``taken`` those which, saved, have left
    another row for this one. Sent as identity text; several are joined
    by commas, each percent-encoded (or sent as several values).
    """

    widget = PickerWidget()

    def __init__(
        self,
        label: str | None = None,
        validators: Any = None,
        *,
        lookup: Lookup,
        is_multiple: bool = False,
        is_nullable: bool = True,
        is_key: bool = False,
        relationship_key: str = "",
        kept: Mapping[str, str] = MappingProxyType({}),
        **kwargs: Any,
    ) -> None:
        super().__init__(label, validators, **kwargs)
        self.lookup = lookup
        self.is_multiple = is_multiple
        self.is_nullable = is_nullable
        self.is_key = is_key
        self.relationship_key = relationship_key
        self.kept = kept
        self.is_cut = False
        self.taken: list[Any] = []
        if not is_nullable:
            self.flags.required = True

    def load(self, instance: Any) -> list[Any]:
        """The members of the collection, or none of them when they are too many to edit."""
        found = self.lookup.members(instance, self.relationship_key, MEMBERS_LIMIT + 1)
        if len(found) > MEMBERS_LIMIT:
            self.is_cut = True
            self.become_readonly()
            return []
        return found

    def prefill(self, values: Sequence[str]) -> None:
        with contextlib.suppress(ValueError):
            self.take(values)
        self.is_changed = False
        self.raw_data = None
        instances = self.data if self.is_multiple else [self.data]
        self.shown_instances = [i for i in instances if i is not None]

    def process_data(self, value: Any) -> None:
        if self.is_multiple:
            self.data = list(value or [])
            self.shown_instances = list(self.data)
        else:
            self.data = value
            self.shown_instances = [] if value is None else [value]

    def _texts(self, instances: Iterable[Any]) -> list[str]:
        return [inspection.identity_text(sa.inspect(i).mapper.base_mapper).of(i) for i in instances]

    def chosen(self) -> list[tuple[str, str]]:
        """Identity text and label of what is chosen now."""
        instances = self.data if self.is_multiple else [self.data] if self.data is not None else []
        words = self.lookup.words
        return [(t, words(i)) for t, i in zip(self._texts(instances), instances, strict=True)]

    def text(self) -> str:
        if self.raw_data:
            return ",".join(str(v) for v in self.raw_data)
        texts = self._texts(self.shown_instances)
        return ",".join(quote(t, safe="") for t in texts) if self.is_multiple else "".join(texts)

    _value = text

    def shown(self) -> Markup:
        if self.is_cut:
            return Markup("<span>More than {:,} rows, too many to edit here</span>").format(
                MEMBERS_LIMIT
            )
        return rendering.render(", ".join(t for _, t in self.chosen()) or None, is_cut=False)

    def shown_texts(self) -> list[str]:
        """The identity texts of the rows that the relationship leads to, whatever was sent."""
        return self._texts(self.shown_instances)

    def sent_texts(self, values: Sequence[Any]) -> list[str]:
        """The identity texts that the values which were sent name."""
        if self.is_multiple:
            sent = [unquote(t) for v in values for t in str(v).split(",") if t.strip()]
        else:
            sent = [str(values[0])] if str(values[0]).strip() else []
        shown = self.shown_texts()
        # Spaces around what was typed mean nothing, but a CHAR(5) key is padded with them.
        sent = list(dict.fromkeys(t if t in shown else t.strip() or t for t in sent))
        return [] if sent == [FLASK_ADMIN_BLANK] else sent

    def take(self, valuelist: Sequence[Any]) -> None:
        shown = self.shown_texts()
        sent = self.sent_texts(valuelist)
        if set(sent) == set(shown):
            if not sent and not self.is_nullable and not self.is_multiple:
                raise ValueError(NEEDED)
            return
        if not sent and not self.is_nullable:
            raise ValueError(NEEDED)
        found = self._fetch(sent)
        self.data = found if self.is_multiple else (found[0] if found else None)
        self.is_changed = True

    def _fetch(self, sent: list[str]) -> list[Any]:
        codec = inspection.identity_text(self.lookup.mapper)
        if len(sent) > 10_000:
            raise ValueError("These are too many rows to choose.")
        try:
            identities = [codec.decode(t) for t in sent]
        except NotFound as error:
            raise ValueError(error.sentence) from error
        known = dict(zip(self._texts(self.shown_instances), self.shown_instances, strict=True))
        missing = [i for t, i in zip(sent, identities, strict=True) if t not in known]
        for instance in self.lookup.fetch(missing):
            for text in self._texts([instance]):
                known[text] = instance
                # Typed by hand, a CHAR(5) key comes without the spaces that it is padded with.
                known.setdefault(text.rstrip(), instance)
        absent = [t for t in sent if t not in known]
        if absent:
            raise ValueError(
                f"There is no row “{inspection.shorten(absent[0])}” to choose (any more)."
            )
        return [known[t] for t in sent]

    def populate_obj(self, obj: Any, name: str) -> None:
        if not self.is_changed:
            return
        if not self.is_multiple:
            self._set(obj, name)
            return
        state = sa.inspect(obj)
        if state.has_identity and name in state.unloaded:
            # They were read for the form, and a relationship may forbid to be loaded by itself.
            orm.attributes.set_committed_value(obj, name, self.shown_instances)
        members = orm.collections.collection_adapter(getattr(obj, name))
        present = list(members)
        for instance in present:
            # What was not shown, as it is out of the visitor's reach, is not his to take away.
            is_shown = instance in self.shown_instances or not state.has_identity
            if is_shown and instance not in self.data:
                members.remove_with_event(instance)
        added = [instance for instance in self.data if instance not in present]
        self.taken = [i for i in added if _belongs_to_another(i, state.mapper, name)]
        for instance in added:
            members.append_with_event(instance)

    def _set(self, obj: Any, name: str) -> None:
        """Set a relationship to one row, or empty it but for the columns that must not be."""
        if self.data is None and self.kept:
            mapper = sa.inspect(obj).mapper
            for column in mapper.relationships[name].local_columns:
                key = inspection.key_of(mapper, column)
                if key is not None and key not in self.kept:
                    setattr(obj, key, None)
            return
        for key, target_key in self.kept.items():
            here, there = getattr(obj, key), getattr(self.data, target_key)
            if here is not None and here != there:
                raise ValueError(
                    f"That row has the {inspection.words(key).lower()} “{there}”, "
                    f"this one “{here}”."
                )
        setattr(obj, name, self.data)


def _belongs_to_another(instance: Any, mapper: orm.Mapper[Any], name: str) -> bool:
    """Whether ``instance``, becoming a member by the relationship ``name``, leaves another row."""
    prop = mapper.relationships[name]
    if prop.direction is not orm.RelationshipDirection.ONETOMANY:
        return False
    own = sa.inspect(instance).mapper
    keys = [inspection.key_of(own, column) for column in prop.remote_side]
    return all(key is not None and getattr(instance, key) is not None for key in keys)


class KeyPickerField(PickerField):
    """A foreign key that no relationship writes: rows are picked, the key is stored."""

    known: Any = None
    """The row that the key points to, where it was read along with the one that holds it."""

    def __init__(self, *args: Any, target_key: str, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.target_key = target_key

    def process_data(self, value: Any) -> None:
        self.key_value = value
        if value is None:
            found = []
        elif self.known is not None and getattr(self.known, self.target_key) == value:
            found = [self.known]
        else:
            found = self.lookup.find(self.target_key, value)
        self.shown_instances = found
        self.data = found[0] if found else None
        self.is_dangling = value is not None and not found

    def text(self) -> str:
        if not self.raw_data and self.is_dangling:
            return self._dangling_text()
        return super().text()

    def _dangling_text(self) -> str:
        """Stands for a row that is not there; no row has such a text for its key."""
        return f".?{self.key_value}"

    _value = text

    def shown_texts(self) -> list[str]:
        return [self._dangling_text()] if self.is_dangling else super().shown_texts()

    def take(self, valuelist: Sequence[Any]) -> None:
        if self.is_dangling:
            if str(valuelist[0]) == self._dangling_text():
                return
            if not str(valuelist[0]).strip() and self.is_nullable:
                self.data, self.is_changed = None, True
                return
        super().take(valuelist)

    def populate_obj(self, obj: Any, name: str) -> None:
        if self.is_changed:
            setattr(obj, name, None if self.data is None else getattr(self.data, self.target_key))


class ProxyPickerField(PickerField):
    """The far rows of an association proxy: chosen ones get an association object, others lose it.

    Association objects of rows that stay chosen are left alone, with all that they say.
    ``creator`` makes one of a far row; without it, one is made and the row is set.
    """

    def __init__(self, *args: Any, far_key: str, creator: Any = None, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.far_key = far_key
        self.creator = creator
        self.near: list[Any] = []

    def load(self, instance: Any) -> list[Any]:
        limit = MEMBERS_LIMIT + 1
        self.near = self.lookup.members(instance, self.relationship_key, limit, self.far_key)
        if len(self.near) > MEMBERS_LIMIT:
            self.is_cut = True
            self.become_readonly()
            return []
        found = (getattr(near, self.far_key) for near in self.near)
        return list(dict.fromkeys(far for far in found if far is not None))

    def populate_obj(self, obj: Any, name: str) -> None:
        if not self.is_changed:
            return
        state = sa.inspect(obj)
        key = self.relationship_key
        if state.has_identity and key in state.unloaded:
            orm.attributes.set_committed_value(obj, key, self.near)
        members = orm.collections.collection_adapter(getattr(obj, key))
        present = list(members)
        for near in present:
            if getattr(near, self.far_key) not in self.data:
                self._remove(members, near, state.mapper.relationships[key])
        known = [getattr(near, self.far_key) for near in present]
        for far in self.data:
            if far not in known:
                members.append_with_event(self._made(far, state.mapper.relationships[key].mapper))

    def _remove(self, members: Any, near: Any, prop: orm.RelationshipProperty[Any]) -> None:
        session = orm.object_session(near)
        may_stay = all(getattr(c, "nullable", True) for c in prop.remote_side)
        if session is None or may_stay or prop.cascade.delete_orphan:
            members.remove_with_event(near)
        else:
            # It cannot be without the row that it belongs to.
            session.delete(near)

    def _made(self, far: Any, mapper: orm.Mapper[Any]) -> Any:
        if self.creator is not None:
            return self.creator(far)
        near = mapper.class_manager.new_instance()
        mapper.class_manager.dispatch.init(orm.attributes.instance_state(near), [], {})
        setattr(near, self.far_key, far)
        return near


class _Keeping(QuerySelectField):
    """Flask-Admin's choice among the rows of a query, that keeps what the row at hand has.

    Flask-Admin's own empties the relationship when the query lacks its row.
    """

    def _get_object_list(self) -> list[tuple[str, Any]]:
        if self._object_list is None:
            found = super()._get_object_list()
            known = [row for _, row in found]
            held = self.object_data if isinstance(self.object_data, list) else [self.object_data]
            added = [row for row in held if row is not None and row not in known]
            self._object_list = found + [(str(self.get_pk(row)), row) for row in added]
        return self._object_list


class QueryField(_Keeping):
    """One row of a host's ``query_factory``."""

    def pre_validate(self, form: Any) -> None:
        sent = str(self.raw_data[0]) if self.raw_data else ""
        if self.data is None and sent not in ("", FLASK_ADMIN_BLANK):
            raise wtforms.ValidationError(
                f"There is no row “{inspection.shorten(sent)}” to choose (any more)."
            )
        super().pre_validate(form)


class QueryMultipleField(_Keeping, QuerySelectMultipleField):
    """Several rows of a host's ``query_factory``."""
