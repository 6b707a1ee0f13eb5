"""What a codec writes it reads back, for types that not every test database has."""

from __future__ import annotations

import decimal
import json
import re

import pytest
import sqlalchemy as sa
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy.dialects import postgresql as pg

from admin_app.forms import codec_for, widgets
from admin_app.forms.structures import parse
from admin_app.json_text import formatted, on_one_line
from tests.db.typed_columns import JSON, TEXT, Geometry, Scrambled


@given(st.dictionaries(TEXT, st.none() | TEXT, max_size=5))
def test_an_hstore_comes_back_as_it_was(value):
    codec = codec_for(pg.HSTORE())
    found = codec.read(codec.write(value), "postgresql")
    assert list(found.items()) == list(value.items())


@given(TEXT)
def test_a_citext_is_a_text(value):
    codec = codec_for(pg.CITEXT())
    assert codec.read(codec.write(value), "postgresql") == value


@given(JSON)
def test_the_text_of_json_comes_back_from_being_laid_out(value):
    text = json.dumps(value)
    assert parse(formatted(text)) == value


@pytest.mark.parametrize(
    ("stored", "shown"),
    [
        ('{"a":[],"b":{},"c":[1.50]}', '{\n  "a": [],\n  "b": {},\n  "c": [\n    1.50\n  ]\n}'),
        ('"\\u00e9\\ud800"', '"é\\ud800"'),
        ("1E400", "1E400"),
        ("", ""),
        ("{not json", "{not json"),
        ('"open', '"open'),
        ("[" * 100 + "]" * 100, "[" * 100 + "]" * 100),
    ],
)
def test_json_is_laid_out_and_nothing_in_it_is_changed(stored, shown):
    assert formatted(stored) == shown


@pytest.mark.parametrize(
    ("stored", "shown"),
    [
        ('{"a":1.50,\n "b" : [ ]}', '{"a": 1.50, "b": []}'),
        ('{"a": "x, y: z", "b": "op', '{"a": "x, y: z", "b": "op'),
        ('["\\u00e9", "\\ud800", "\\u00', '["é", "\\ud800", "\\u00'),
        ("{no\njson", "{nojson"),
        ("null", "null"),
        ("", ""),
    ],
)
def test_the_beginning_of_json_stands_on_one_line(stored, shown):
    assert on_one_line(stored) == shown


@given(st.decimals(allow_nan=False, allow_infinity=False, min_value=-(10**40), max_value=10**40))
def test_a_decimal_without_limits_keeps_every_digit(value):
    codec = codec_for(sa.Numeric())
    assert codec.read(codec.write(value), "postgresql") == value


@given(st.integers(-(10**30), 10**30).map(lambda n: decimal.Decimal(n).scaleb(-20)))
def test_a_decimal_of_forty_digits_is_kept_or_refused_and_never_rounded(value):
    codec = codec_for(sa.Numeric(40, 12))
    try:
        assert codec.read(codec.write(value), "postgresql") == value
    except ValueError:
        assert value * 10**12 % 1 != 0


@pytest.mark.parametrize(
    "type_",
    [Geometry(), sa.types.NullType(), pg.TSQUERY(), pg.ARRAY(Geometry()), pg.ARRAY(pg.HSTORE())],
)
def test_a_type_that_nobody_can_type_has_no_codec(type_):
    assert codec_for(type_) is None


def test_a_text_that_is_stored_otherwise_is_typed_as_it_is():
    codec = codec_for(Scrambled())
    assert codec.write("secret") == "secret"
    assert codec.read("secret", "sqlite") == "secret"


def test_a_type_of_a_library_is_known_by_its_class_and_not_by_its_name():
    utils = pytest.importorskip("sqlalchemy_utils")

    class Address(utils.EmailType):
        cache_ok = True

    class Wrapped(sa.types.TypeDecorator):
        impl = Address
        cache_ok = True

    class EmailType(sa.types.TypeDecorator):
        impl = sa.String
        cache_ok = True

    found = [widgets.kind_of("to", t) for t in (Address(), Wrapped(), EmailType(), sa.String())]
    assert found == ["email", "email", None, None]


def test_the_text_of_sqlalchemy_citext_can_be_typed():
    citext = pytest.importorskip("citext")
    assert codec_for(citext.CIText()).is_text


@pytest.mark.parametrize(
    ("typed", "number"),
    [
        ("1,5", "1.5"),
        ("-0,500", "-0.500"),
        ("1234,500", "1234.500"),
        (",5", "0.5"),
        ("1.234,56", "1234.56"),
        ("1,234.56", "1234.56"),
        ("1,234,567", "1234567"),
        ("1.234.567", "1234567"),
        ("1 234,5", "1234.5"),
        ("1\u202f234\u202f567,5", "1234567.5"),
        ("1'234.5", "1234.5"),
        ("1.500", "1.500"),
    ],
)
def test_a_decimal_is_taken_as_many_languages_write_it(typed, number):
    for codec in (codec_for(sa.Numeric(12, 4)), codec_for(sa.Float())):
        assert codec.read(typed, "postgresql") == type(codec.read("1", ""))(number)


@pytest.mark.parametrize(
    ("typed", "sentence"),
    [
        ("1,500", "can mean 1.500 or 1500; write one of these"),
        ("-12,345", "can mean -12.345 or -12345"),
        ("1,2,3", "This is not a number."),
        ("1,234,5", "This is not a number."),
        ("1.2,3", "This is not a number."),
        ("0,123.4", "This is not a number."),
        ("12 34", "This is not a number."),
        ("1.234,567.8", "This is not a number."),
        ("1,", "This is not a number."),
        ("1," * 100_000, "This is not a number."),
    ],
)
def test_a_decimal_that_could_mean_two_is_refused(typed, sentence):
    with pytest.raises(ValueError, match=re.escape(sentence)):
        codec_for(sa.Numeric()).read(typed, "postgresql")
