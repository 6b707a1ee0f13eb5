"""Attributes that are no columns: proxies, hybrids, composites, synonyms, what is only shown."""

from __future__ import annotations

import enum
import html
import re
from collections.abc import Callable
from typing import Any

import pytest
import sqlalchemy as sa
from sqlalchemy import orm
from sqlalchemy.ext.associationproxy import AssociationProxy, association_proxy
from sqlalchemy.ext.hybrid import hybrid_property

from admin_app import ModelView
from admin_app.errors import ConfigurationError
from tests.db.journey import LIST_BUDGET, columns_written


def view_with(**options: Any) -> type[ModelView]:
    return type("View", (ModelView,), options)


def cells(page: str) -> str:
    """The words of the rows of a list, or of the facts of a details page."""
    body = page.partition("<tbody>")[2] or page.partition("<dl")[2]
    return re.sub(r"\s+", " ", html.unescape(re.sub(r"<[^>]*>", " ", body)))


def count_on(session: Any, table: str) -> None:
    """Let PostgreSQL, which does not see the keys that a test gives, count from 100."""
    if session.bind.dialect.name == "postgresql":
        session.execute(sa.text(f"SELECT setval('{table}_id_seq', 100)"))
        session.commit()


class Proxied(orm.DeclarativeBase):
    """Association objects with something to say, and proxies that lead through them."""


class Keyword(Proxied):
    __tablename__ = "keywords"
    id: orm.Mapped[int] = orm.mapped_column(primary_key=True)
    word: orm.Mapped[str]


class Use(Proxied):
    """Cannot be without its user; says why a keyword is used."""

    __tablename__ = "uses"
    user_id: orm.Mapped[int] = orm.mapped_column(sa.ForeignKey("users.id"), primary_key=True)
    keyword_id: orm.Mapped[int] = orm.mapped_column(sa.ForeignKey("keywords.id"), primary_key=True)
    reason: orm.Mapped[str | None]
    user: orm.Mapped[User] = orm.relationship(back_populates="uses")
    keyword: orm.Mapped[Keyword] = orm.relationship(lazy="raise")


class Badge(Proxied):
    """May be without its user."""

    __tablename__ = "badges"
    id: orm.Mapped[int] = orm.mapped_column(primary_key=True)
    user_id: orm.Mapped[int | None] = orm.mapped_column(sa.ForeignKey("users.id"))
    keyword_id: orm.Mapped[int | None] = orm.mapped_column(sa.ForeignKey("keywords.id"))
    colour: orm.Mapped[str] = orm.mapped_column(default="grey")
    keyword: orm.Mapped[Keyword | None] = orm.relationship()


class User(Proxied):
    __tablename__ = "users"
    id: orm.Mapped[int] = orm.mapped_column(primary_key=True)
    name: orm.Mapped[str]
    chief_id: orm.Mapped[int | None] = orm.mapped_column(sa.ForeignKey("users.id"))
    chief: orm.Mapped[User | None] = orm.relationship(remote_side=[id])
    uses: orm.Mapped[list[Use]] = orm.relationship(
        back_populates="user", cascade="all, delete-orphan", lazy="raise"
    )
    badges: orm.Mapped[list[Badge]] = orm.relationship()
    given: orm.Mapped[list[Use]] = orm.relationship(overlaps="user,uses")
    keywords: AssociationProxy[list[Keyword]] = association_proxy(
        "uses", "keyword", creator=lambda keyword: Use(keyword=keyword, reason="made")
    )
    marks: AssociationProxy[list[Keyword]] = association_proxy("badges", "keyword")
    others: AssociationProxy[list[Keyword]] = association_proxy("given", "keyword")
    reasons: AssociationProxy[list[str]] = association_proxy("uses", "reason")
    colours: AssociationProxy[list[str]] = association_proxy("badges", "colour")
    chief_name: AssociationProxy[str] = association_proxy("chief", "name")


@pytest.fixture
def proxied(make_site):
    """Ana uses two keywords, Bo one; Ana is the chief of Bo."""

    def make(**options: Any) -> Any:
        site = make_site(Proxied)
        for model in (Keyword, Use, Badge):
            site.admin.register(model)
        site.admin.register(User, view_with(**options))
        with site.session() as session:
            words = [Keyword(id=n, word=f"Word {n}") for n in range(1, 5)]
            session.add_all(words)
            ana = User(id=1, name="Ana")
            ana.uses = [Use(keyword=words[0], reason="why"), Use(keyword=words[1])]
            ana.badges = [Badge(keyword=words[0], colour="red")]
            session.add(ana)
            session.flush()
            bo = User(id=2, name="Bo", chief=ana)
            bo.uses = [Use(keyword=words[1], reason="so")]
            session.add(bo)
            session.commit()
            count_on(session, "users")
        return site

    return make


LISTED = ("name", "keywords", "reasons", "marks", "colours", "chief_name")


def test_proxies_are_listed_by_what_they_lead_to(proxied, journey):
    site = proxied(column_list=LISTED)
    shown = cells(journey_list(site, User))
    assert "Ana Word 1 , Word 2 why, None Word 1 red –" in shown
    assert "Bo Word 2 so – – Ana" in shown


def journey_list(site: Any, model: type[Any], arguments: str = "") -> str:
    response = site.client.get(site.url(model) + arguments)
    assert response.status_code == 200
    return response.text


def test_rows_behind_a_proxy_are_links(proxied):
    site = proxied(column_list=LISTED)
    assert f'href="{site.url(Keyword, "details")}?id=2">Word 2</a>' in journey_list(site, User)


@pytest.mark.parametrize("name", LISTED)
@pytest.mark.parametrize("count", [3, 30])
def test_a_list_with_a_proxy_costs_the_same_with_few_and_many_rows(
    proxied, statements, name, count
):
    site = proxied(column_list=("id", name))
    with site.session() as session:
        for n in range(count):
            user = User(name=f"U{n}", chief_id=1)
            user.uses = [Use(keyword_id=k, reason="r") for k in (1, 2)]
            user.badges = [Badge(keyword_id=k) for k in (1, 2)]
            session.add(user)
        session.commit()
    with statements(site.engine) as seen:
        journey_list(site, User)
    assert len(seen) <= LIST_BUDGET, seen


def test_the_details_page_shows_proxies(proxied):
    site = proxied(column_details_list=LISTED)
    page = site.client.get(site.url(User, "details") + "?id=1").text
    assert "Keywords Word 1 , Word 2" in cells(page)
    assert "Reasons why, None" in cells(page)


def test_a_list_is_ordered_by_a_proxy_to_one_value_and_by_no_other(proxied):
    site = proxied(column_list=LISTED)
    page = journey_list(site, User, "?sort=-chief_name")
    assert "sort=reasons" not in page
    assert "sort=chief_name" in page
    assert "Bo" in cells(page)


def uses(site: Any) -> dict[int, str | None]:
    with site.session() as session:
        found = session.execute(sa.select(Use.keyword_id, Use.reason).filter_by(user_id=1))
        return {row.keyword_id: row.reason for row in found}


def test_rows_behind_a_proxy_are_chosen_and_what_their_links_say_is_kept(proxied, journey):
    site = proxied(form_columns=("name", "keywords"))
    way = journey(site, User)
    assert "Word 3" in way.lookup("keywords")
    way.save_untouched("1")
    way.change("1", keywords="1,3")
    assert uses(site) == {1: "why", 3: "made"}
    way.save_untouched("1")
    way.change("1", keywords="")
    assert uses(site) == {}


def test_rows_behind_a_proxy_are_chosen_for_a_new_row(proxied, journey):
    site = proxied(form_columns=("name", "keywords", "marks"))
    key = journey(site, User).create(name="Cy", keywords="2,4", marks="3")
    with site.session() as session:
        used = session.scalars(sa.select(Use.keyword_id).filter_by(user_id=int(key)))
        assert set(used) == {2, 4}
        badge = session.scalars(sa.select(Badge).filter_by(user_id=int(key))).one()
        assert (badge.keyword_id, badge.colour) == (3, "grey")


def test_a_link_that_may_stand_alone_stays_without_its_row(proxied, journey):
    site = proxied(form_columns=("name", "marks"))
    journey(site, User).change("1", marks="2")
    with site.session() as session:
        badges = session.execute(sa.select(Badge.user_id, Badge.keyword_id).order_by(Badge.id))
        assert badges.all() == [(None, 1), (1, 2)]


def test_a_link_that_cannot_stand_alone_goes_with_what_it_leads_to(proxied, journey):
    site = proxied(form_columns=("name", "others"))
    journey(site, User).change("1", others="2")
    assert uses(site) == {2: None}


def test_a_row_that_is_not_there_is_refused_at_the_proxy(proxied, journey):
    site = proxied(form_columns=("name", "keywords"))
    response = journey(site, User).post("1", {"keywords": "1,99"})
    assert response.status_code == 400
    assert "There is no row “99” to choose (any more)." in response.text
    assert uses(site) == {1: "why", 2: None}


def test_a_proxy_to_values_is_shown_in_a_form_and_not_taken(proxied, journey):
    site = proxied(form_columns=("name", "reasons", "chief_name"))
    way = journey(site, User)
    page = way.get("edit", "1")
    assert "why, None" in page
    assert 'name="reasons"' not in page
    assert way.change("1", reasons="x", chief_name="x") == []
    way.create(name="Cy")


class Ways(orm.DeclarativeBase):
    """Attributes that stand for columns in another way."""


class Point:
    def __init__(self, x: int | None, y: int | None) -> None:
        self.x, self.y = x, y

    def __composite_values__(self) -> tuple[int | None, int | None]:
        return self.x, self.y

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Point) and (other.x, other.y) == (self.x, self.y)

    __hash__ = None  # type: ignore[assignment]


class Member(Ways):
    __tablename__ = "members"
    id: orm.Mapped[int] = orm.mapped_column(primary_key=True)
    first: orm.Mapped[str]
    last: orm.Mapped[str | None]
    cents: orm.Mapped[int] = orm.mapped_column(default=0)
    x: orm.Mapped[int | None]
    y: orm.Mapped[int | None]
    place: orm.Mapped[Point] = orm.composite("x", "y")
    _left: orm.Mapped[int | None]
    _top: orm.Mapped[int | None]
    corner: orm.Mapped[Point] = orm.composite("_left", "_top")
    _mail: orm.Mapped[str] = orm.mapped_column("mail")
    mail: orm.Mapped[str] = orm.synonym("_mail")
    given_name: orm.Mapped[str] = orm.synonym("first")
    _hidden: orm.Mapped[str | None]
    _secret: orm.Mapped[str | None]

    @hybrid_property
    def name(self) -> str:
        return f"{self.first} {self.last or ''}".strip()

    @name.inplace.setter
    def _set_name(self, value: str) -> None:
        if value.count(" ") != 1:
            raise ValueError("A name has two parts.")
        self.first, self.last = value.split()

    @name.inplace.expression
    @classmethod
    def _name_expression(cls) -> sa.ColumnElement[str]:
        return cls.first + " " + cls.last

    @hybrid_property
    def euros(self) -> float:
        return self.cents / 100

    @euros.inplace.setter
    def _set_euros(self, value: float) -> None:
        self.cents = round(value * 100)

    @euros.inplace.expression
    @classmethod
    def _euros_expression(cls) -> sa.ColumnElement[float]:
        return sa.type_coerce(cls.cents / 100, sa.Float)

    @hybrid_property
    def is_rich(self) -> bool:
        return self.cents > 1000

    @hybrid_property
    def password(self) -> str:
        raise AttributeError("A password cannot be read.")

    @password.inplace.setter
    def _set_password(self, value: str) -> None:
        self._secret = value[::-1]

    @password.inplace.expression
    @classmethod
    def _password_expression(cls) -> Any:
        return cls._secret

    @property
    def shout(self) -> str:
        return self.first.upper()


@pytest.fixture
def ways(make_site):
    def make(**options: Any) -> Any:
        site = make_site(Ways)
        site.admin.register(Member, view_with(**options))
        with site.session() as session:
            row = Member(id=1, first="Ana", last="Li", cents=1250, _mail="a@b.org")
            row.place, row.corner, row._secret = Point(3, 4), Point(5, None), "secret"
            session.add(row)
            session.commit()
            count_on(session, "members")
        return site

    return make


def member(site: Any, key: int = 1) -> Any:
    with site.session() as session:
        return session.get(Member, key)


def test_what_a_synonym_or_a_composite_makes_public_is_shown_and_asked_for(ways, journey):
    site = ways()
    way = journey(site, Member)
    assert {"mail", "_left", "_top", "x", "y"} <= way.fields()
    assert not {"_mail", "_hidden", "_secret", "given_name"} & way.fields()
    assert "a@b.org" in way.list()
    assert "a@b.org" in way.get("details", "1")
    way.whole(lambda n: {"first": f"M {n}", "mail": f"{n}@b.org"}, mail="new", writes={"mail"})


def test_a_value_behind_a_synonym_is_written_only_when_it_changed(ways, journey):
    site = ways(form_columns=("given_name", "mail"))
    way = journey(site, Member)
    way.save_untouched("1")
    assert columns_written(way.change("1", given_name="Bo")) == {"first"}
    assert member(site).first == "Bo"


def test_a_synonym_is_listed_sorted_and_searched(ways):
    site = ways(
        column_list=("given_name", "mail"),
        column_searchable_list=("mail",),
        column_sortable_list=("given_name", "mail"),
    )
    for arguments in ("?sort=mail", "?sort=-given_name", "?search=a@b"):
        assert "Ana a@b.org" in cells(journey_list(site, Member, arguments))


def test_a_composite_is_edited_by_its_columns(ways, journey):
    site = ways(form_columns=("first", "place", "corner"))
    way = journey(site, Member)
    way.save_untouched("1")
    assert columns_written(way.change("1", x="30", _top="6")) == {"x", "_top"}
    assert (member(site).place, member(site).corner) == (Point(30, 4), Point(5, 6))


def test_a_composite_in_a_group_of_fields_is_a_line_of_its_columns(ways, journey):
    site = ways(form_fieldsets=[(None, ["first", "mail", "place"])])
    way = journey(site, Member)
    assert {"x", "y"} <= way.fields()
    key = way.create(first="Bo", mail="b", x="1", y="2")
    assert member(site, int(key)).place == Point(1, 2)


def test_a_composite_is_listed_and_shown_by_its_parts(ways):
    site = ways(column_list=("first", "place", "corner"), column_details_list=("place",))
    assert "Ana X 3, Y 4 Left 5" in cells(journey_list(site, Member))
    page = site.client.get(site.url(Member, "details") + "?id=1").text
    assert "Place X 3, Y 4" in cells(page)


def test_a_list_is_ordered_by_the_parts_of_a_composite(ways):
    site = ways(column_list=("first", "place"), column_sortable_list=("place",))
    with site.session() as session:
        session.add(Member(first="Bo", _mail="b", x=3, y=1))
        session.commit()
    for arguments, order in (("?sort=place", "Bo.*Ana"), ("?sort=-place", "Ana.*Bo")):
        assert re.search(order, cells(journey_list(site, Member, arguments)))


HYBRIDS = ("first", "name", "euros", "is_rich")


def test_hybrids_are_listed_sorted_and_shown(ways):
    site = ways(column_list=HYBRIDS, column_details_list=HYBRIDS)
    assert "Ana Ana Li 12.5 yes" in cells(journey_list(site, Member, "?sort=-euros"))
    assert "Ana Ana Li" in cells(journey_list(site, Member, "?sort=name"))
    assert "12.5" in cells(site.client.get(site.url(Member, "details") + "?id=1").text)


def test_a_hybrid_with_a_setter_is_edited_by_the_type_of_its_expression(ways, journey):
    site = ways(form_columns=("name", "euros"))
    way = journey(site, Member)
    way.save_untouched("1")
    assert columns_written(way.change("1", euros="13.75")) == {"cents"}
    assert columns_written(way.change("1", name="Bo Wu")) == {"first", "last"}
    assert member(site).cents == 1375
    refused = way.post("1", {"euros": "x"})
    assert (refused.status_code, "This is not a number" in refused.text) == (400, True)


def test_what_the_setter_of_a_hybrid_refuses_is_told_at_its_field(ways, journey):
    site = ways(form_columns=("name",))
    response = journey(site, Member).post("1", {"name": "Bo"})
    assert response.status_code == 400
    assert "A name has two parts." in response.text


def test_a_hybrid_is_set_for_a_new_row(ways, journey):
    site = ways(form_columns=("name", "euros", "mail"))
    key = journey(site, Member).create(name="Cy Oh", euros="2.5", mail="c")
    row = member(site, int(key))
    assert (row.first, row.last, row.cents) == ("Cy", "Oh", 250)


def test_a_hybrid_that_cannot_be_read_is_only_typed(ways, journey):
    site = ways(form_columns=("first", "password"))
    way = journey(site, Member)
    assert "terces" not in way.get("edit", "1")
    way.save_untouched("1")
    assert columns_written(way.change("1", password="new")) == {"_secret"}
    assert member(site)._secret == "wen"


@pytest.mark.parametrize("key", ["is_rich", "shout"])
def test_what_cannot_be_set_is_shown_in_its_place_and_not_taken(ways, journey, key):
    site = ways(form_columns=("first", key, "last"))
    way = journey(site, Member)
    page = way.get("edit", "1")
    assert f'name="{key}"' not in page
    assert page.index('id="first"') < page.index(f'id="{key}"') < page.index('id="last"')
    assert ("yes" if key == "is_rich" else "ANA") in page
    assert way.change("1", **{key: "x"}) == []


def test_a_name_of_a_form_that_leads_nowhere_stops_the_start(ways):
    with pytest.raises(ConfigurationError, match="cannot have a field “nope”"):
        ways(form_columns=("first", "nope"))


class Painted(orm.DeclarativeBase):
    pass


class Colour(enum.Enum):
    RED = "r"
    GREEN = "g"


class Wall(Painted):
    __tablename__ = "walls"
    id: orm.Mapped[int] = orm.mapped_column(primary_key=True)
    colour: orm.Mapped[Colour] = orm.mapped_column(
        sa.Enum(Colour, values_callable=lambda members: [m.value for m in members])
    )


@pytest.mark.parametrize("sent", ["RED", "r"])
def test_a_member_of_an_enum_is_sent_by_its_name_or_as_it_is_stored(make_site, journey, sent):
    site = make_site(Painted).register_all()
    way = journey(site, Wall)
    key = way.create(colour=sent)
    assert way.change(key, colour=sent) == []
    assert columns_written(way.change(key, colour="g")) == {"colour"}
    assert way.post(key, {"colour": "b"}).status_code == 400


# Relationships of every kind that are named


class Kinds(orm.DeclarativeBase):
    pass


class Owner(Kinds):
    __tablename__ = "owners"
    id: orm.Mapped[int] = orm.mapped_column(primary_key=True)
    name: orm.Mapped[str]
    licence: orm.Mapped[Licence | None] = orm.relationship(back_populates="owner", lazy="raise")
    pets: orm.Mapped[list[Pet]] = orm.relationship(back_populates="owner", lazy="raise")
    loud: orm.Mapped[list[Pet]] = orm.relationship(
        primaryjoin="and_(Owner.id == Pet.owner_id, Pet.name == 'Rex')", viewonly=True
    )
    dynamic: orm.DynamicMapped[Pet] = orm.relationship(overlaps="pets,owner")
    written: orm.WriteOnlyMapped[Pet] = orm.relationship(
        overlaps="pets,owner,dynamic", passive_deletes=True
    )


class Licence(Kinds):
    __tablename__ = "licences"
    id: orm.Mapped[int] = orm.mapped_column(primary_key=True)
    name: orm.Mapped[str]
    owner_id: orm.Mapped[int | None] = orm.mapped_column(sa.ForeignKey("owners.id"), unique=True)
    owner: orm.Mapped[Owner | None] = orm.relationship(back_populates="licence")


class Pet(Kinds):
    __tablename__ = "pets"
    id: orm.Mapped[int] = orm.mapped_column(primary_key=True)
    name: orm.Mapped[str]
    owner_id: orm.Mapped[int | None] = orm.mapped_column(sa.ForeignKey("owners.id"))
    owner: orm.Mapped[Owner | None] = orm.relationship(
        back_populates="pets", overlaps="dynamic,written"
    )


@pytest.fixture
def kinds(make_site) -> Callable[..., Any]:
    def make(**options: Any) -> Any:
        site = make_site(Kinds)
        for model in (Licence, Pet):
            site.admin.register(model)
        site.admin.register(Owner, view_with(**options))
        with site.session() as session:
            session.add_all([Owner(id=1, name="Ana"), Owner(id=2, name="Bo")])
            session.flush()
            session.add_all([Licence(id=n, name=f"L{n}") for n in (1, 2)])
            session.add_all([Pet(id=1, name="Rex", owner_id=1), Pet(id=2, name="Tom")])
            session.commit()
        return site

    return make


def test_one_to_one_is_set_from_the_side_without_the_key_where_it_is_named(kinds, journey):
    site = kinds(form_columns=("name", "licence"))
    way = journey(site, Owner)
    way.save_untouched("1")
    for chosen in ("1", "2", ""):
        way.change("1", licence=chosen)
        way.save_untouched("1")
        with site.session() as session:
            held = session.scalars(sa.select(Licence.id).filter_by(owner_id=1)).all()
            assert held == ([int(chosen)] if chosen else [])


def test_one_to_many_is_chosen_where_it_is_named(kinds, journey):
    site = kinds(form_columns=("name", "pets"))
    way = journey(site, Owner)
    way.save_untouched("1")
    way.change("1", pets="2")
    with site.session() as session:
        assert session.scalars(sa.select(Pet.id).filter_by(owner_id=1)).all() == [2]


def test_a_member_that_is_taken_from_another_row_is_named(kinds, journey):
    site = kinds(form_columns=("name", "pets"))
    way = journey(site, Owner)
    way.change("2", pets="1")
    assert "“Rex” belonged elsewhere before." in way.list()
    way.change("2", pets="1", name="Beate")
    assert "belonged elsewhere" not in way.list()


@pytest.mark.parametrize("key", ["loud", "dynamic", "written"])
def test_members_that_cannot_be_chosen_are_shown_where_they_are_named(kinds, journey, key):
    site = kinds(form_columns=("name", key))
    way = journey(site, Owner)
    page = way.get("edit", "1")
    assert "Rex" in page
    assert f'name="{key}"' not in page
    way.save_untouched("1")
    way.get("create")


@pytest.mark.parametrize("key", ["licence", "pets", "loud", "dynamic", "written"])
def test_a_relationship_of_every_kind_may_be_listed_and_shown(kinds, key):
    site = kinds(column_list=("name", key), column_details_list=("name", key))
    assert "Ana" in journey_list(site, Owner)
    response = site.client.get(site.url(Owner, "details") + "?id=1")
    assert response.status_code == 200


@pytest.mark.parametrize("name", ["pets.name", "dynamic.name", "written.name", "pets.owner"])
def test_a_column_may_lead_through_members_of_every_kind(kinds, name):
    site = kinds(column_list=("name", name), column_details_list=("name", name))
    page = cells(journey_list(site, Owner))
    details = site.client.get(site.url(Owner, "details") + "?id=1")
    assert details.status_code == 200
    if name != "written.name":
        assert ("Ana Ana" if name == "pets.owner" else "Ana Rex") in page
