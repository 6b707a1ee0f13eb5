"""A SELECT of mapped rows as the Python that makes it: `select(Order).where(…)`.

The expression is walked and written down part by part, with aliases and imports; what was pasted
into a program finds the same rows. A part that has no writing raises `Unwritable`.
"""

from __future__ import annotations

import datetime as dt
import decimal
import enum
import uuid
from collections.abc import Callable, Sequence
from typing import Any

import sqlalchemy as sa
from sqlalchemy import orm
from sqlalchemy.sql import elements, functions, operators, selectable

from admin_app import inspection
from admin_app.explaining import lines
from admin_app.explaining.hidden import MASK, Hidden


class Unwritable(Exception):
    """The statement has a part that this module has no words for."""


def written(mapper: orm.Mapper[Any], statement: sa.Select[Any], hidden: Hidden) -> str:
    """``statement``, which selects whole rows of ``mapper``, as Python.

    A value that is compared with a column that is ``hidden`` is not written.
    """
    writer = _Writer(mapper, hidden)
    body = writer.select(statement, [writer.model(mapper.class_)])
    aliases = [f"{name} = {made}" for name, made in writer.aliases.values()]
    parts = [writer.imports(), aliases, ["statement = (", *lines.of_code(body, 1), ")"]]
    return "\n\n".join("\n".join(part) for part in parts if part)


_BINARY: dict[Any, str] = {
    operators.eq: "==",
    operators.ne: "!=",
    operators.lt: "<",
    operators.le: "<=",
    operators.gt: ">",
    operators.ge: ">=",
    operators.add: "+",
    operators.sub: "-",
    operators.mul: "*",
    operators.truediv: "/",
    operators.mod: "%",
    operators.concat_op: "+",
}
_METHODS: dict[Any, str] = {
    operators.is_: "is_",
    operators.is_not: "is_not",
    operators.in_op: "in_",
    operators.not_in_op: "not_in",
    operators.like_op: "like",
    operators.not_like_op: "not_like",
    operators.ilike_op: "ilike",
    operators.not_ilike_op: "not_ilike",
    operators.is_distinct_from: "is_distinct_from",
    operators.is_not_distinct_from: "is_not_distinct_from",
}
_CONSTANTS = {elements.Null: "None", elements.True_: "True", elements.False_: "False"}
_AFTER: dict[Any, str] = {
    operators.desc_op: "desc",
    operators.asc_op: "asc",
    operators.nulls_first_op: "nulls_first",
    operators.nulls_last_op: "nulls_last",
}


class _Writer:
    def __init__(self, home: orm.Mapper[Any], hidden: Hidden) -> None:
        self.home = home
        self.hidden = hidden
        self.aliases: dict[Any, tuple[str, str]] = {}
        self.names: dict[str, set[str]] = {}
        self.mappers: dict[Any, orm.Mapper[Any]] = {}
        # A subclass without a table of its own writes the columns of its parent's.
        for mapper in sorted(
            home.registry.mappers, key=lambda m: (m.single, m.class_.__qualname__)
        ):
            self.mappers.setdefault(mapper.local_table, mapper)
        self.is_masked = False

    # Names

    def imports(self) -> list[str]:
        plain = sorted(n for n in self.names if not self.names[n])
        return [f"import {name}" for name in plain] + [
            f"from {module} import {', '.join(sorted(names))}"
            for module, names in sorted(self.names.items())
            if names
        ]

    def name(self, module: str, name: str = "") -> str:
        names = self.names.setdefault(module, set())
        if name:
            names.add(name.partition(".")[0])
        return name

    def sqlalchemy(self, name: str) -> str:
        return self.name("sqlalchemy", name)

    def model(self, model: type[Any]) -> str:
        return self.name(model.__module__, model.__qualname__)

    def entity(self, table: Any) -> str:
        """A mapped class, or the alias of one, by its table."""
        if isinstance(table, selectable.Alias):
            if table not in self.aliases:
                self.aliases[table] = self._alias(table.element)
            return self.aliases[table][0]
        mapper = self.mappers.get(table)
        if mapper is None:
            raise Unwritable(table)
        return self.model(mapper.class_)

    def _alias(self, table: Any) -> tuple[str, str]:
        """A name for an alias, and what makes it."""
        owner = self.mappers.get(table)
        if owner is None:
            words, made = table.name, f"{self._table(table)}.alias()"
        else:
            self.name("sqlalchemy.orm", "aliased")
            words, made = (
                inspection.words(owner.class_.__name__),
                f"aliased({self.model(owner.class_)})",
            )
        name = words.lower().replace(" ", "_")
        number = 1 + sum(known[1] == made for known in self.aliases.values())
        return f"{name}_{number}", made

    def column(self, column: Any) -> str:
        table = getattr(column, "table", None)
        base = next(iter(column.base_columns))
        owner = self.mappers.get(getattr(base, "table", None))
        if owner is None:
            if isinstance(table, sa.Table):
                return f"{self._table(table)}.c[{column.key!r}]"
            if isinstance(table, selectable.Alias) and isinstance(table.element, sa.Table):
                return f"{self.entity(table)}.c[{column.key!r}]"
            raise Unwritable(column)
        key = inspection.key_of(owner, base)
        if key is None:
            raise Unwritable(column)
        return f"{self.entity(table)}.{key}"

    def _table(self, table: sa.Table) -> str:
        """A table that no class is mapped to, as the metadata of some class has it."""
        if table.metadata is not self.home.class_.metadata:
            raise Unwritable(table)
        return f"{self.model(self.home.class_)}.metadata.tables[{table.key!r}]"

    # Statements

    def select(self, statement: Any, columns: Sequence[str] | None = None) -> str:
        if columns is None:
            columns = [self.expression(c) for c in statement.selected_columns]
        # What has an underscore has no public name; it holds what the method was given.
        found = [f"{self.sqlalchemy('select')}({', '.join(columns)})"]
        found += self._joins(statement)
        if statement._distinct:
            found.append(".distinct()")
        if statement.whereclause is not None:
            found += [f".where({self.expression(part)})" for part in _parts(statement.whereclause)]
        order = [self.expression(item) for item in statement._order_by_clauses]
        if order:
            found.append(f".order_by({', '.join(order)})")
        for word in ("limit", "offset"):
            clause = getattr(statement, f"_{word}_clause")
            if clause is not None and clause.value:
                found.append(f".{word}({clause.value})")
        if statement._group_by_clauses or statement._having_criteria:
            raise Unwritable(statement)
        return "\n".join(found)

    def _joins(self, statement: Any) -> list[str]:
        found: list[str] = []
        for source in statement.get_final_froms():
            chain: list[Any] = []
            while isinstance(source, selectable.Join) and not self._is_inherited(source):
                chain.insert(0, source)
                source = source.left
            for join in chain:
                word = "outerjoin" if join.isouter else "join"
                onclause = self.expression(join.onclause)
                found.append(f".{word}({self._joined(join.right)}, {onclause})")
        return found

    def _is_inherited(self, join: Any) -> bool:
        return any(m.persist_selectable is join for m in self.mappers.values())

    def _joined(self, source: Any) -> str:
        if isinstance(source, sa.Table) and source not in self.mappers:
            return self._table(source)
        return self.entity(source)

    # Expressions

    def expression(self, element: Any) -> str:
        for kind, write in _WRITERS:
            if isinstance(element, kind):
                return write(self, element)
        raise Unwritable(type(element).__name__)

    def operand(self, element: Any, *, is_left: bool = False) -> str:
        if isinstance(element, elements.BindParameter) and is_left and not element.expanding:
            return f"{self.sqlalchemy('literal')}({self.expression(element)})"
        text = self.expression(element)
        inner = element.element if isinstance(element, elements.Grouping) else element
        return f"({text})" if isinstance(inner, elements.BinaryExpression) else text

    def binary(self, element: elements.BinaryExpression[Any]) -> str:
        was_masked = self.is_masked
        self.is_masked = was_masked or self.hidden.is_in(element)
        try:
            return self._binary(element)
        finally:
            self.is_masked = was_masked

    def _binary(self, element: elements.BinaryExpression[Any]) -> str:
        operator = element.operator
        if operator in _BINARY:
            left, right = self.operand(element.left, is_left=True), self.operand(element.right)
            return f"{left} {_BINARY[operator]} {right}"
        left = self.operand(element.left, is_left=True)
        if operator in _METHODS:
            extra = ""
            if element.modifiers.get("escape"):
                extra = f", escape={element.modifiers['escape']!r}"
            right = _CONSTANTS.get(type(element.right)) or self.expression(element.right)
            return f"{left}.{_METHODS[operator]}({right}{extra})"
        if isinstance(operator, operators.custom_op):
            given = ", is_comparison=True" if operator.is_comparison else ""
            return f"{left}.op({operator.opstring!r}{given})({self.expression(element.right)})"
        if operator in (operators.between_op, operators.not_between_op):
            low, high = (self.expression(c) for c in element.right.clauses)
            text = f"{left}.between({low}, {high})"
            return text if operator is operators.between_op else self._not(text)
        raise Unwritable(operator)

    def _not(self, text: str) -> str:
        return f"{self.sqlalchemy('not_')}({text})"

    def unary(self, element: elements.UnaryExpression[Any]) -> str:
        if isinstance(element, selectable.Exists):
            return self.exists(element)
        if element.modifier in _AFTER:
            return f"{self.operand(element.element, is_left=True)}.{_AFTER[element.modifier]}()"
        if element.operator is operators.inv:
            return self._not(self.expression(element.element))
        if element.operator is operators.neg:
            return f"-{self.operand(element.element)}"
        if element.operator is operators.distinct_op:
            return f"{self.sqlalchemy('distinct')}({self.expression(element.element)})"
        raise Unwritable(element.operator)

    def exists(self, element: selectable.Exists) -> str:
        inner: Any = element.element
        while isinstance(inner, elements.Grouping | selectable.ScalarSelect):
            inner = inner.element
        inner = getattr(inner, "element", inner)
        if not isinstance(inner, sa.Select):
            raise Unwritable(inner)
        parts = [] if inner.whereclause is None else _parts(inner.whereclause)
        joins = self._joins(inner)
        wheres = ", ".join(self.expression(part) for part in parts)
        if joins:
            first = self._first_from(inner)
            one = f"{self.sqlalchemy('select')}({self.sqlalchemy('literal')}(1))"
            return f"{one}.select_from({first}){''.join(joins)}.where({wheres}).exists()"
        return f"{self.sqlalchemy('exists')}().where({wheres})"

    def _first_from(self, statement: Any) -> str:
        for source in statement.get_final_froms():
            if isinstance(source, selectable.Join):
                while isinstance(source, selectable.Join) and not self._is_inherited(source):
                    source = source.left
                return self._joined(source)
        raise Unwritable(statement)

    def boolean(self, element: elements.BooleanClauseList) -> str:
        word = "and_" if element.operator is operators.and_ else "or_"
        return f"{self.sqlalchemy(word)}({', '.join(self.expression(c) for c in element.clauses)})"

    def clauses(self, element: elements.ClauseList) -> str:
        return ", ".join(self.expression(clause) for clause in element.clauses)

    def tuple(self, element: elements.Tuple) -> str:
        return f"{self.sqlalchemy('tuple_')}({self.clauses(element)})"

    def grouping(self, element: Any) -> str:
        return self.expression(element.element)

    def subquery(self, element: Any) -> str:
        inner: Any = element.element
        while isinstance(inner, elements.Grouping | selectable.SelectStatementGrouping):
            inner = inner.element
        text = "".join(self.select(inner).split("\n"))
        return f"{text}.scalar_subquery()" if isinstance(element, selectable.ScalarSelect) else text

    def nested(self, element: Any) -> str:
        return "".join(self.select(element).split("\n"))

    def case(self, element: elements.Case[Any]) -> str:
        pairs = [f"({self.expression(w)}, {self.operand(t)})" for w, t in element.whens]
        if element.value is not None:
            raise Unwritable(element)
        if element.else_ is not None:
            pairs.append(f"else_={self.expression(element.else_)}")
        return f"{self.sqlalchemy('case')}({', '.join(pairs)})"

    def cast(self, element: Any) -> str:
        clause_type = element.clause.type
        is_told = isinstance(element, elements.TypeCoerce) and type(element.type) in (
            sa.String,
            sa.Integer,
        )
        if (
            is_told
            and isinstance(clause_type, type(element.type) | sa.Text)
            and not isinstance(clause_type, sa.Enum)
        ):
            return self.expression(element.clause)
        word = "type_coerce" if isinstance(element, elements.TypeCoerce) else "cast"
        return (
            f"{self.sqlalchemy(word)}({self.expression(element.clause)}, {self.type(element.type)})"
        )

    def extract(self, element: elements.Extract) -> str:
        return f"{self.sqlalchemy('extract')}({element.field!r}, {self.expression(element.expr)})"

    def type(self, type_: Any) -> str:
        if isinstance(type_, sa.Enum | sa.types.TypeDecorator):
            raise Unwritable(type_)
        text = repr(type_)
        name = text.partition("(")[0]
        if not name.isidentifier() or type(type_).__name__ != name:
            raise Unwritable(type_)
        if hasattr(sa, name):
            module = "sqlalchemy"
        elif hasattr(sa.types, name):
            module = "sqlalchemy.types"
        else:
            module = type(type_).__module__.rpartition(".")[0]
        self.name(module, name)
        return text

    def function(self, element: Any) -> str:
        arguments = ", ".join(self.expression(clause) for clause in element.clauses)
        if isinstance(element, functions.Function | functions.GenericFunction):
            packages = ".".join([*getattr(element, "packagenames", ()), element.name])
            return f"{self.sqlalchemy('func')}.{packages}({arguments})"
        kind = type(element)
        return f"{self.name(kind.__module__, kind.__name__)}({arguments})"

    def constant(self, element: Any) -> str:
        word = {elements.Null: "null", elements.True_: "true", elements.False_: "false"}
        return f"{self.sqlalchemy(word[type(element)])}()"

    def value(self, element: elements.BindParameter[Any]) -> str:
        if self.is_masked:
            return repr(MASK)
        value = element.effective_value
        if element.expanding:
            return "[" + ", ".join(self.literal(item) for item in value or ()) + "]"
        return self.literal(value)

    def literal(self, value: Any) -> str:
        if (
            value is None
            or isinstance(value, bool | int | float | str | bytes)
            and not isinstance(value, enum.Enum)
        ):
            return repr(value)
        if isinstance(value, enum.Enum):
            return f"{self.model(type(value))}.{value.name}"
        if isinstance(value, decimal.Decimal | uuid.UUID):
            self.name(type(value).__module__, type(value).__name__)
            return repr(value)
        if isinstance(value, dt.date | dt.time | dt.timedelta):
            self.name("datetime")
            if isinstance(value, dt.datetime):
                return f"datetime.datetime.fromisoformat({value.isoformat()!r})"
            return repr(value)
        if isinstance(value, tuple | list):
            inner = ", ".join(self.literal(item) for item in value)
            return f"({inner},)" if isinstance(value, tuple) else f"[{inner}]"
        raise Unwritable(value)


def _parts(clause: Any) -> list[Any]:
    """The conditions that ``clause`` joins by AND."""
    if isinstance(clause, elements.Grouping):
        return _parts(clause.element)
    if isinstance(clause, elements.BooleanClauseList) and clause.operator is operators.and_:
        return [part for inner in clause.clauses for part in _parts(inner)]
    return [clause]


_WRITERS: list[tuple[Any, Callable[[_Writer, Any], str]]] = [
    (elements.BindParameter, _Writer.value),
    (elements.BinaryExpression, _Writer.binary),
    (elements.Tuple, _Writer.tuple),
    (elements.BooleanClauseList, _Writer.boolean),
    (elements.UnaryExpression, _Writer.unary),
    (functions.FunctionElement, _Writer.function),
    (selectable.ScalarSelect, _Writer.subquery),
    (selectable.SelectStatementGrouping, _Writer.subquery),
    (sa.Select, _Writer.nested),
    (elements.Grouping, _Writer.grouping),
    (elements.Label, _Writer.grouping),
    (elements.Case, _Writer.case),
    (elements.Cast | elements.TypeCoerce, _Writer.cast),
    (elements.Extract, _Writer.extract),
    (elements.Null | elements.True_ | elements.False_, _Writer.constant),
    (elements.ClauseList, _Writer.clauses),
    (elements.ColumnClause, _Writer.column),
]
