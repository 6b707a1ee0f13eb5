"""Relationships and foreign keys of every kind, without options."""

from __future__ import annotations

import html
from typing import Any

import pytest
import sqlalchemy as sa
from sqlalchemy import orm
from sqlalchemy.ext.associationproxy import AssociationProxy, association_proxy

from tests.db.journey import columns_written


class Bare(orm.DeclarativeBase):
    """Foreign keys that no relationship writes."""


class Country(Bare):
    __tablename__ = "countries"
    id: orm.Mapped[int] = orm.mapped_column(primary_key=True)
    code: orm.Mapped[str] = orm.mapped_column(sa.String(2), unique=True)
    name: orm.Mapped[str]


class Region(Bare):
    __tablename__ = "regions"
    country: orm.Mapped[str] = orm.mapped_column(
        sa.String(2), sa.ForeignKey("countries.code"), primary_key=True
    )
    number: orm.Mapped[int] = orm.mapped_column(primary_key=True, autoincrement=False)
    name: orm.Mapped[str]


class Town(Bare):
    __tablename__ = "towns"
    __table_args__ = (
        sa.ForeignKeyConstraint(
            ["region_country", "region_number"], ["regions.country", "regions.number"]
        ),
    )
    id: orm.Mapped[int] = orm.mapped_column(primary_key=True)
    name: orm.Mapped[str]
    country_id: orm.Mapped[int] = orm.mapped_column(sa.ForeignKey("countries.id"))
    country_code: orm.Mapped[str | None] = orm.mapped_column(sa.ForeignKey("countries.code"))
    region_country: orm.Mapped[str | None]
    region_number: orm.Mapped[int | None]
    twin_id: orm.Mapped[int | None] = orm.mapped_column(sa.ForeignKey("towns.id"))


@pytest.fixture
def bare(make_site):
    site = make_site(Bare).register_all()
    with site.session() as session:
        session.add_all(
            [Country(id=1, code="CZ", name="Czechia"), Country(id=2, code="AT", name="Austria")]
        )
        session.flush()
        session.add_all([Region(country="CZ", number=1, name="Moravia")])
        session.commit()
    return site


def test_a_foreign_key_without_relationship_is_picked(bare, journey):
    way = journey(bare, Town)
    assert way.lookup("country_id", "aus") == {"Austria": "2"}
    way.whole(
        lambda n: {"name": f"Town {n}", "country_id": "1"}, country_id="2", writes={"country_id"}
    )


def test_a_foreign_key_to_a_unique_column_is_picked_and_that_column_is_stored(bare, journey):
    way = journey(bare, Town)
    assert way.lookup("country_code") == {"Czechia": "1", "Austria": "2"}
    key = way.create(name="Brno", country_id="1", country_code="1")
    way.save_untouched(key)
    assert columns_written(way.change(key, country_code="2")) == {"country_code"}
    with bare.session() as session:
        assert session.scalars(sa.select(Town.country_code)).one() == "AT"


def test_a_key_that_is_a_foreign_key_to_a_unique_column_is_picked(bare, journey):
    way = journey(bare, Region)
    way.whole(
        lambda n: {"country": "2", "number": str(n), "name": "East"}, name="West", writes={"name"}
    )


def test_a_composite_foreign_key_without_relationship_is_typed(bare, journey):
    way = journey(bare, Town)
    key = way.create(name="Brno", country_id="1", region_country="CZ", region_number="1")
    way.save_untouched(key)
    way.change(key, region_country="", region_number="")
    refused = way.post(key, {"region_country": "XX", "region_number": "9"})
    assert refused.status_code == 400
    assert "does not exist" in refused.text


def test_a_foreign_key_to_its_own_table_without_relationship_is_picked(bare, journey):
    way = journey(bare, Town)
    brno = way.create(name="Brno", country_id="1")
    key = way.create(name="Poznań", country_id="1", twin_id=brno)
    way.save_untouched(key)
    assert columns_written(way.change(key, twin_id="")) == {"twin_id"}


def test_a_list_names_the_row_that_a_bare_foreign_key_points_to(bare, journey):
    way = journey(bare, Town)
    way.create(name="Brno", country_id="2", country_code="1")
    page = way.list()
    assert ">Austria<" in page
    assert ">Czechia<" in page
    assert f'href="{bare.url(Country, "details")}?id=2"' in page


class Linked(orm.DeclarativeBase):
    """Relationships of every cardinality."""


tagged = sa.Table(
    "tagged",
    Linked.metadata,
    sa.Column("post_id", sa.ForeignKey("posts.id"), primary_key=True),
    sa.Column("tag_id", sa.ForeignKey("tags.id"), primary_key=True),
)
starred = sa.Table(
    "starred",
    Linked.metadata,
    sa.Column("post_id", sa.ForeignKey("posts.id"), primary_key=True),
    sa.Column("tag_id", sa.ForeignKey("tags.id"), primary_key=True),
)
keyed = sa.Table(
    "keyed",
    Linked.metadata,
    sa.Column("post_id", sa.ForeignKey("posts.id"), primary_key=True),
    sa.Column("tag_id", sa.ForeignKey("tags.id"), primary_key=True),
)


class Tag(Linked):
    __tablename__ = "tags"
    id: orm.Mapped[int] = orm.mapped_column(primary_key=True)
    name: orm.Mapped[str]
    posts: orm.Mapped[list[Post]] = orm.relationship(secondary=tagged, back_populates="tags")


class Person(Linked):
    __tablename__ = "people"
    id: orm.Mapped[int] = orm.mapped_column(primary_key=True)
    name: orm.Mapped[str]
    badge: orm.Mapped[Badge | None] = orm.relationship(back_populates="person")
    written: orm.Mapped[list[Post]] = orm.relationship(
        back_populates="author", foreign_keys="Post.author_id"
    )
    edited: orm.DynamicMapped[Post] = orm.relationship(
        back_populates="editor", foreign_keys="Post.editor_id"
    )
    seen: orm.WriteOnlyMapped[Visit] = orm.relationship(
        back_populates="person", passive_deletes=True
    )


class Badge(Linked):
    """One to one: at most one badge a person."""

    __tablename__ = "badges"
    id: orm.Mapped[int] = orm.mapped_column(primary_key=True)
    name: orm.Mapped[str]
    person_id: orm.Mapped[int | None] = orm.mapped_column(sa.ForeignKey("people.id"), unique=True)
    person: orm.Mapped[Person | None] = orm.relationship(back_populates="badge")


class Post(Linked):
    __tablename__ = "posts"
    id: orm.Mapped[int] = orm.mapped_column(primary_key=True)
    title: orm.Mapped[str]
    author_id: orm.Mapped[int] = orm.mapped_column(sa.ForeignKey("people.id"))
    editor_id: orm.Mapped[int | None] = orm.mapped_column(sa.ForeignKey("people.id"))
    author: orm.Mapped[Person] = orm.relationship(
        back_populates="written", foreign_keys=[author_id]
    )
    editor: orm.Mapped[Person | None] = orm.relationship(
        back_populates="edited", foreign_keys=[editor_id], lazy="raise"
    )
    tags: orm.Mapped[list[Tag]] = orm.relationship(
        secondary=tagged, back_populates="posts", lazy="raise"
    )
    starred: orm.Mapped[set[Tag]] = orm.relationship(secondary=starred)
    keyed: orm.Mapped[dict[str, Tag]] = orm.relationship(
        secondary=keyed, collection_class=orm.attribute_keyed_dict("name")
    )
    tag_names: AssociationProxy[list[str]] = association_proxy("tags", "name")
    same_author: orm.Mapped[list[Post]] = orm.relationship(
        primaryjoin="foreign(Post.author_id) == remote(Post.author_id)", viewonly=True
    )
    visits: orm.Mapped[list[Visit]] = orm.relationship(
        back_populates="post", cascade="all, delete-orphan"
    )


class Visit(Linked):
    """An association object: a pair of keys with something to say."""

    __tablename__ = "visits"
    person_id: orm.Mapped[int] = orm.mapped_column(sa.ForeignKey("people.id"), primary_key=True)
    post_id: orm.Mapped[int] = orm.mapped_column(sa.ForeignKey("posts.id"), primary_key=True)
    seconds: orm.Mapped[int | None]
    person: orm.Mapped[Person] = orm.relationship(back_populates="seen")
    post: orm.Mapped[Post] = orm.relationship(back_populates="visits")


@pytest.fixture
def linked(make_site):
    site = make_site(Linked).register_all()
    with site.session() as session:
        session.add_all(
            [Person(id=1, name="Ana"), Person(id=2, name="Bo"), Person(id=3, name="Cy")]
        )
        session.add_all([Tag(id=1, name="red"), Tag(id=2, name="blue"), Tag(id=3, name="a, b")])
        session.flush()
        session.add_all(
            [Post(id=n, title=f"Post {n}", author_id=1, editor_id=2) for n in range(1, 4)]
        )
        session.commit()
        if session.bind.dialect.name == "postgresql":
            for table in ("people", "tags", "posts"):
                session.execute(sa.text(f"SELECT setval('{table}_id_seq', 100)"))
            session.commit()
    return site


NEW: dict[type[Linked], Any] = {
    Tag: lambda n: {"name": f"Tag {n}"},
    Person: lambda n: {"name": f"Person {n}"},
    Badge: lambda n: {"name": f"Badge {n}", "person": str(n + 1)},
    Post: lambda n: {"title": f"Post {n}", "author": "1", "editor": "2", "tags": "1,2"},
    Visit: lambda n: {"person": str(n + 1), "post": "1"},
}


@pytest.mark.parametrize("model", NEW, ids=lambda m: m.__name__)
def test_every_page_works_whatever_the_relationships(linked, journey, model):
    name = {Visit: "seconds", Post: "title"}.get(model, "name")
    journey(linked, model).whole(NEW[model], writes={name}, **{name: "7"})


def test_two_foreign_keys_to_one_table_are_two_pickers(linked, journey):
    way = journey(linked, Post)
    assert columns_written(way.change("1", editor="3")) == {"editor_id"}
    assert columns_written(way.change("1", author="2")) == {"author_id"}
    page = way.list()
    assert ">Bo<" in page
    assert ">Cy<" in page


def test_sorting_by_one_of_two_relationships_follows_that_one(linked, journey):
    way = journey(linked, Post)
    way.change("2", editor="3")
    page = linked.client.get(linked.url(Post) + "?sort=-editor").text
    assert page.index("Post 2") < page.index("Post 1")


def test_one_to_one_is_set_from_the_side_with_the_key(linked, journey):
    way = journey(linked, Badge)
    way.create(name="first", person="1")
    taken = way.post_new({"name": "second", "person": "1"})
    assert taken.status_code == 400
    assert "Another row already has this value." in taken.text


def test_one_to_one_is_shown_on_the_other_side(linked, journey):
    key = journey(linked, Badge).create(name="golden", person="1")
    page = journey(linked, Person).get("details", "1")
    assert "golden" in page
    assert f"{linked.url(Badge, 'details')}?id={key}" in page


@pytest.mark.parametrize("field", ["tags", "starred", "keyed"])
def test_members_of_a_collection_are_added_and_removed(linked, journey, field):
    way = journey(linked, Post)
    way.change("1", **{field: "1,3"})
    way.save_untouched("1")
    way.change("1", **{field: "3,2"})
    with linked.session() as session:
        members = session.scalars(
            sa.select(Tag.name)
            .join(Post.__table__, sa.true())
            .where(orm.with_parent(session.get(Post, 1), getattr(Post, field)))
            .distinct()
        )
        assert set(members) == {"a, b", "blue"}


def test_members_of_a_collection_are_chosen_for_a_new_row(linked, journey):
    way = journey(linked, Post)
    key = way.create(title="New", author="1", tags="1", starred="2,3", keyed="3")
    page = html.unescape(way.get("details", key))
    for name in ("red", "blue", "a, b"):
        assert name in page


def test_a_many_to_many_with_lazy_raise_is_edited(linked, journey):
    way = journey(linked, Post)
    assert way.change("1", tags="1,2")
    assert way.change("1", editor="")
    way.save_untouched("1")


def test_an_association_object_is_reached_by_both_its_keys(linked, journey):
    way = journey(linked, Visit)
    key = way.create(person="2", post="3", seconds="5")
    assert key == "2,3"
    assert 'name="person"' not in way.get("edit", key)
    assert "Bo" in way.get("edit", key)


def test_a_delete_takes_association_objects_along_as_the_mapping_says(linked, journey):
    journey(linked, Visit).create(person="2", post="3")
    way = journey(linked, Post)
    assert "1 visit" in way.get("delete", "3")
    way.delete("3")
    assert journey(linked, Visit).keys() == []


def test_a_delete_that_would_break_an_association_is_refused_in_words(linked, journey):
    journey(linked, Visit).create(person="3", post="3")
    way = journey(linked, Person)
    assert "1 visit (by person)" in way.get("delete", "3")
    response = linked.client.post(way.url("delete"), data={"id": "3"})
    assert response.status_code == 409
    assert "SQL" not in response.text
    way.get("details", "3")


def test_what_only_views_is_shown_and_never_asked_for(linked, journey):
    fields = journey(linked, Post).fields()
    assert "same_author" not in fields
    assert "tag_names" not in fields
    assert "Post 2" in journey(linked, Post).get("details", "1")


def test_dynamic_and_write_only_members_are_shown_on_the_details_page(linked, journey):
    journey(linked, Visit).create(person="2", post="3")
    page = journey(linked, Person).get("details", "2")
    assert "Post 1" in page
    assert f"{linked.url(Visit, 'details')}?id=2%2C3" in page


class Trees(orm.DeclarativeBase):
    pass


class Node(Trees):
    """A tree whose rows are called by the whole way to them."""

    __tablename__ = "nodes"
    id: orm.Mapped[int] = orm.mapped_column(primary_key=True)
    name: orm.Mapped[str]
    parent_id: orm.Mapped[int | None] = orm.mapped_column(sa.ForeignKey("nodes.id"))
    parent: orm.Mapped[Node | None] = orm.relationship(remote_side=[id], back_populates="children")
    children: orm.Mapped[list[Node]] = orm.relationship(back_populates="parent")

    def __str__(self) -> str:
        return f"{self.parent} / {self.name}" if self.parent else self.name


class Part(Trees):
    """A composite key that refers to itself, in part through a column that all rows share."""

    __tablename__ = "parts"
    __table_args__ = (
        sa.ForeignKeyConstraint(["plant", "whole_number"], ["parts.plant", "parts.number"]),
    )
    plant: orm.Mapped[str] = orm.mapped_column(sa.String(9), primary_key=True)
    number: orm.Mapped[int] = orm.mapped_column(primary_key=True, autoincrement=False)
    whole_number: orm.Mapped[int | None]
    name: orm.Mapped[str]
    whole: orm.Mapped[Part | None] = orm.relationship(
        remote_side=[plant, number], back_populates="parts"
    )
    parts: orm.Mapped[list[Part]] = orm.relationship(back_populates="whole")


def test_a_row_may_have_one_of_its_own_kind_as_parent(make_site, journey):
    site = make_site(Trees).register_all()
    way = journey(site, Node)
    root = way.create(name="root")
    assert way.lookup("parent") == {"root": root}
    leaf = way.create(name="leaf", parent=root)
    assert "root / leaf" in way.list()
    assert "root / leaf" in way.get("details", root)
    way.save_untouched(leaf)
    assert columns_written(way.change(leaf, parent="")) == {"parent_id"}
    way.whole(lambda n: {"name": f"Node {n}", "parent": root}, name="x", writes={"name"})


@pytest.mark.parametrize("count", [5, 50])
def test_a_list_of_a_tree_costs_the_same_however_many_and_deep_its_rows(
    make_site, journey, statements, count
):
    site = make_site(Trees).register_all()
    with site.session() as session:
        session.add_all(
            Node(id=n, name=f"N{n}", parent_id=n // 2 or None) for n in range(1, count + 1)
        )
        session.commit()
    page = journey(site, Node).list()
    assert "N1 / N2" in page


def test_a_composite_self_reference_has_working_pages(make_site, journey):
    site = make_site(Trees).register_all()
    way = journey(site, Part)
    whole = way.create(plant="Brno", number="1", name="engine")
    assert whole == "Brno,1"
    assert way.lookup("whole") == {"engine": "Brno,1"}
    way.whole(
        lambda n: {"plant": "Brno", "number": str(n + 2), "name": "bolt"},
        whole=whole,
        writes={"whole_number"},
    )


class Composites(orm.DeclarativeBase):
    pass


class Account(Composites):
    __tablename__ = "accounts"
    bank: orm.Mapped[str] = orm.mapped_column(sa.String(9), primary_key=True)
    number: orm.Mapped[int] = orm.mapped_column(primary_key=True, autoincrement=False)
    name: orm.Mapped[str]
    payments: orm.Mapped[list[Payment]] = orm.relationship(back_populates="account")


class Payment(Composites):
    __tablename__ = "payments"
    __table_args__ = (
        sa.ForeignKeyConstraint(["bank", "account_number"], ["accounts.bank", "accounts.number"]),
    )
    id: orm.Mapped[int] = orm.mapped_column(primary_key=True)
    amount: orm.Mapped[int]
    bank: orm.Mapped[str | None]
    account_number: orm.Mapped[int | None]
    account: orm.Mapped[Account | None] = orm.relationship(back_populates="payments")


def test_a_composite_foreign_key_is_one_picker(make_site, journey):
    site = make_site(Composites).register_all()
    account = journey(site, Account).create(bank="KB, a.s.", number="7", name="Savings")
    way = journey(site, Payment)
    assert way.lookup("account", "sav") == {"Savings": account}
    assert not {"bank", "account_number"} & way.fields()
    way.whole(lambda n: {"amount": str(n)}, account=account, writes={"bank", "account_number"})
    way.create(amount="1", account=account)
    assert "Savings" in way.list()
    assert "1 payment" in journey(site, Account).get("delete", account)


def test_a_shared_part_of_a_key_stays_when_its_relationship_is_emptied(make_site, journey):
    site = make_site(Trees).register_all()
    way = journey(site, Part)
    whole = way.create(plant="Brno", number="1", name="engine")
    part = way.create(plant="Brno", number="2", name="bolt", whole=whole)
    assert columns_written(way.change(part, whole="")) == {"whole_number"}


def test_a_row_whose_shared_part_of_the_key_differs_is_refused(make_site, journey):
    site = make_site(Trees).register_all()
    way = journey(site, Part)
    engine = way.create(plant="Brno", number="1", name="engine")
    part = way.create(plant="Wien", number="2", name="bolt")
    response = way.post(part, {"whole": engine})
    assert response.status_code == 400
    assert "That row has the plant “Brno”, this one “Wien”." in response.text


def test_a_foreign_key_to_a_row_that_is_gone_is_kept_and_shown(make_site, journey):
    class Base(orm.DeclarativeBase):
        pass

    class Shop(Base):
        __tablename__ = "shops"
        id: orm.Mapped[int] = orm.mapped_column(primary_key=True)
        name: orm.Mapped[str]

    class Till(Base):
        __tablename__ = "tills"
        id: orm.Mapped[int] = orm.mapped_column(primary_key=True)
        name: orm.Mapped[str]
        shop_id: orm.Mapped[int | None]

    site = make_site(Base)
    # The program knows of it, the database does not watch it.
    Till.__table__.append_constraint(sa.ForeignKeyConstraint([Till.shop_id], [Shop.id]))
    site.register_all()
    with site.session() as session:
        session.add(Till(id=1, name="left", shop_id=77))
        session.commit()
    way = journey(site, Till)
    way.save_untouched("1")
    assert ">77<" in way.list()
    assert columns_written(way.change("1", shop_id="")) == {"shop_id"}


def test_members_that_may_only_be_written_block_a_delete_in_words(make_site, journey):
    class Base(orm.DeclarativeBase):
        pass

    class Line(Base):
        __tablename__ = "lines"
        id: orm.Mapped[int] = orm.mapped_column(primary_key=True)
        bill_id: orm.Mapped[int] = orm.mapped_column(sa.ForeignKey("bills.id"))

    class Bill(Base):
        __tablename__ = "bills"
        id: orm.Mapped[int] = orm.mapped_column(primary_key=True)
        lines: orm.WriteOnlyMapped[Line] = orm.relationship()

    site = make_site(Base).register_all()
    way = journey(site, Bill)
    key = way.create()
    response = site.client.post(way.url("delete"), data={"id": key}, follow_redirects=True)
    assert response.status_code == 200
    assert "the relationship to them needs passive_deletes=True" in response.text
    way.get("details", key)


@pytest.mark.parametrize("depth", [5, 40])
def test_the_way_to_a_deep_row_is_told_at_the_cost_of_a_shallow_one(
    make_site, journey, statements, depth
):
    site = make_site(Trees).register_all()
    with site.session() as session:
        for tree in range(60):
            above = None
            for level in range(depth):
                above = Node(name=f"T{tree}L{level}", parent=above)
            session.add(above)
        session.commit()
    url = f"{site.url(Node)}?sort=-id&page_size=20"
    with statements(site.engine) as seen:
        page = site.client.get(url).text
    assert len(seen) <= 4
    assert "T59L0 / T59L1 / T59L2" in page
    with statements(site.engine) as seen:
        assert site.client.get(f"{site.url(Node)}lookup/parent/?q=L{depth - 1}").status_code == 200
    assert len(seen) <= 4
