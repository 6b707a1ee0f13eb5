"""What a search is read as, and the form that its condition takes for an index."""

from __future__ import annotations

import pytest
import sqlalchemy as sa
from sqlalchemy import orm
from sqlalchemy.dialects import postgresql

from admin_app.errors import ConfigurationError, InvalidRequest
from admin_app.inspection import mapper_of
from admin_app.listing.indexes import IndexKey, TableFacts
from admin_app.listing.searching import Search, Word, cleaned, fields, words


class Base(orm.DeclarativeBase):
    pass


class Article(Base):
    __tablename__ = "articles"
    id: orm.Mapped[int] = orm.mapped_column(primary_key=True)
    title: orm.Mapped[str] = orm.mapped_column(sa.String(80))
    body: orm.Mapped[str] = orm.mapped_column(sa.Text)
    password: orm.Mapped[str]

    def shout(self) -> str:
        return self.title.upper()


MAPPER = mapper_of(Article)


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("john doe", [Word("john"), Word("doe")]),
        ('"John Doe" John', [Word("John Doe"), Word("John")]),
        ("'John Doe'", [Word("John Doe")]),
        (r'"the \"old\" oak"', [Word('the "old" oak')]),
        (r"'it\'s me'", [Word("it's me")]),
        ("O'Brien", [Word("O'Brien")]),
        ('"John Doe', [Word('"John'), Word("Doe")]),
        ('5" disk', [Word('5"'), Word("disk")]),
        ('="John Doe" ^Jo @body', [Word("John Doe", "="), Word("Jo", "^"), Word("body", "@")]),
        ("= ^ @", [Word("="), Word("^"), Word("@")]),
        ("\"\" ''", []),
        ("a a A", [Word("a"), Word("A")]),
        (r"C:\temp", [Word(r"C:\temp")]),
    ],
)
def test_a_search_is_read_as_words_and_phrases(text, found):
    assert words(text) == found


def test_repeated_words_count_once_and_too_many_are_told():
    notes: list[str] = []
    cleaned("lamp " * 80, notes)
    assert notes == []
    cleaned(" ".join(map(str, range(30))), notes)
    assert notes == ["Only the first 20 words were searched for."]


def test_a_megabyte_of_quotes_is_read_quickly():
    notes: list[str] = []
    text = cleaned('"\\' * 500_000, notes)
    assert len(text) == 1_000
    assert words(text)


@pytest.mark.parametrize("text", ["a\0b", "\ud800"])
def test_what_no_column_holds_is_refused_in_a_sentence(text):
    with pytest.raises(InvalidRequest, match="no column can hold"):
        cleaned(text, [])


def test_an_option_that_names_no_column_is_refused_when_the_view_is_made():
    with pytest.raises(ConfigurationError, match="shout"):
        fields(MAPPER, ["shout"])


def written(key: IndexKey | None, name: str, text: str) -> str:
    """The condition in PostgreSQL's words, where the table has the index ``key`` and no other."""
    facts = {Article.__table__: TableFacts((key,) if key else ())}
    found = Search(MAPPER, fields(MAPPER, [name]), facts=facts).condition(words(text))
    options = {"literal_binds": True}
    compiled = found.compile(dialect=postgresql.dialect(), compile_kwargs=options)
    return str(compiled).replace(" ESCAPE '\\\\'", "").replace(" ESCAPE '\\'", "")


@pytest.mark.parametrize(
    ("name", "condition"),
    [
        ("title__iendswith", "articles.title ILIKE '%%lamp'"),
        ("title__starts", "articles.title ILIKE 'lamp%%'"),
        ("title__exact", "lower(articles.title) = lower('lamp')"),
        ("title__icontains", "articles.title ILIKE '%%lamp%%'"),
    ],
)
def test_an_option_says_by_an_operator_how_a_column_is_searched(name, condition):
    assert written(None, name, "lamp") == condition


TRIGRAMS = IndexKey("title", "gin", "gin_trgm_ops", 1)
LOWER_TRIGRAMS = IndexKey("lower(title::text)", "gist", "gist_trgm_ops", 1)
LOWER = IndexKey("lower(title::text)", "btree", "text_ops", 1)
LOWER_PATTERN = IndexKey("lower(title::text)", "btree", "text_pattern_ops", 1)
PATTERN = IndexKey("title", "btree", "varchar_pattern_ops", 1)
SECOND = IndexKey("lower(title::text)", "btree", "text_pattern_ops", 2)


@pytest.mark.parametrize(
    ("key", "text", "condition"),
    [
        (None, "lamp", "articles.title ILIKE '%%lamp%%'"),
        (None, "=Lamp", "lower(articles.title) = lower('Lamp')"),
        (TRIGRAMS, "lamp", "articles.title ILIKE '%%lamp%%'"),
        (TRIGRAMS, "=lamp", "articles.title ILIKE 'lamp'"),
        (LOWER_TRIGRAMS, "Lamp", "lower(articles.title) LIKE lower('%%Lamp%%')"),
        (LOWER, "=Lamp", "lower(articles.title) = lower('Lamp')"),
        (LOWER, "^Lamp", "articles.title ILIKE 'Lamp%%'"),
        (LOWER_PATTERN, "^Lamp", "lower(articles.title) LIKE lower('Lamp%%')"),
        (LOWER_PATTERN, "lamp", "articles.title ILIKE '%%lamp%%'"),
        (SECOND, "^lamp", "articles.title ILIKE 'lamp%%'"),
        (
            PATTERN,
            "^5a",
            "(articles.title LIKE '5a%%' OR articles.title LIKE '5A%%') "
            "AND articles.title ILIKE '5a%%'",
        ),
    ],
)
def test_a_condition_takes_the_form_that_the_index_serves(key, text, condition):
    assert written(key, "title", text) == condition


def test_full_text_is_asked_with_the_expression_of_its_index():
    both = "to_tsvector('english'::regconfig, (title::text || ' body'::text) || body)"
    found = written(IndexKey(both, "gin", "tsvector_ops", 1), "@body", "oaks")
    assert "(articles.title::text || ' body'::text) || articles.body)" in found
    assert "@@ phraseto_tsquery('english'::regconfig, 'oaks')" in found


def test_an_at_before_a_word_is_a_letter_where_there_is_no_full_text():
    assert written(None, "title", "@example.com") == "articles.title ILIKE '%%@example.com%%'"
    assert "to_tsvector(articles.body)" in written(None, "@body", "oaks")


def test_a_secret_is_not_searched_even_where_an_option_names_it():
    assert written(None, "password", "x") == "false"
