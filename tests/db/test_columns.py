"""What a visitor chooses about a list: its columns, and how dense its rows are."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import flask
import pytest
import sqlalchemy as sa
from sqlalchemy import orm
from sqlalchemy.ext.associationproxy import AssociationProxy, association_proxy
from sqlalchemy.ext.hybrid import hybrid_property
from sqlalchemy.orm import Mapped, mapped_column

from admin_app import ModelView, Policy, display
from examples.fleet.models import Order
from tests.db.conftest import Site

# The look


def test_a_chosen_density_is_kept_for_every_list_and_leads_back_to_the_same_rows(
    site: Any,
) -> None:
    client = site.client
    answer = client.get(site.url(Order, search="a", choose="compact"))
    assert (answer.status_code, answer.location) == (303, site.url(Order, search="a"))
    assert 'class="panel table-panel compact"' in client.get("/admin/task/").text


def test_what_is_usual_again_leaves_no_cookie_behind(site: Any) -> None:
    client = site.client
    client.get(site.url(Order, choose="wrapped"))
    assert client.get_cookie("admin_list", path="/admin") is not None
    client.get(site.url(Order, choose="cut"))
    assert client.get_cookie("admin_list", path="/admin") is None


def test_a_look_that_there_is_not_is_left_alone(site: Any) -> None:
    answer = site.client.get(site.url(Order, choose="__class__"))
    assert answer.status_code == 200


# Choosing columns


class Base(orm.DeclarativeBase):
    pass


class Region(Base):
    __tablename__ = "regions"
    id: Mapped[int] = mapped_column(primary_key=True)
    name: Mapped[str] = mapped_column(sa.String(40))
    tax_token: Mapped[str | None] = mapped_column(sa.String(40))


class Client(Base):
    __tablename__ = "clients"
    id: Mapped[int] = mapped_column(primary_key=True)
    name: Mapped[str] = mapped_column(sa.String(40))
    country: Mapped[str | None] = mapped_column(sa.String(2))
    photo: Mapped[bytes | None] = mapped_column(sa.LargeBinary)
    region_id: Mapped[int | None] = mapped_column(sa.ForeignKey("regions.id"))
    region: Mapped[Region | None] = orm.relationship()
    sales: Mapped[list[Sale]] = orm.relationship(back_populates="client")
    tags: Mapped[list[Tag]] = orm.relationship()
    tag_names: AssociationProxy[list[str]] = association_proxy("tags", "name")

    @property
    def shouted(self) -> str:
        return self.name.upper()

    @property
    def first_tag(self) -> str | None:
        return self.tags[0].name if self.tags else None


class Tag(Base):
    __tablename__ = "client_tags"
    id: Mapped[int] = mapped_column(primary_key=True)
    name: Mapped[str] = mapped_column(sa.String(40))
    client_id: Mapped[int] = mapped_column(sa.ForeignKey("clients.id"))


class Sale(Base):
    __tablename__ = "sales"
    id: Mapped[int] = mapped_column(primary_key=True)
    price: Mapped[int] = mapped_column()
    cost: Mapped[int | None]
    _memo: Mapped[str | None] = mapped_column("memo", sa.String(40))
    client_id: Mapped[int | None] = mapped_column(sa.ForeignKey("clients.id"))
    client: Mapped[Client | None] = orm.relationship(back_populates="sales")
    doubled: Mapped[int] = orm.column_property(price * 2)

    @hybrid_property
    def margin(self) -> int:
        return self.price - (self.cost or 0)

    @margin.inplace.expression
    @classmethod
    def _margin(cls) -> Any:
        return cls.price - sa.func.coalesce(cls.cost, 0)

    @hybrid_property
    def words(self) -> str:
        return "dear" if self.price > 10 else "cheap"

    @property
    @display("Worth", sort="price", empty="not known", description="In crowns")
    def worth(self) -> int | None:
        return self.cost

    @display("Grade")
    def grade(self) -> str:
        return "A" if self.price > 10 else "B"

    def destroy(self) -> str:
        raise AssertionError("a column must not call what was not made to be shown")


def fill(session: orm.Session, clients: int = 3) -> None:
    region = Region(id=1, name="Bohemia", tax_token="hush")
    for n in range(1, clients + 1):
        client = Client(id=n, name=f"Client {n}", country="CZ", region=region)
        client.tags = [Tag(name="old"), Tag(name="good")]
        client.sales = [Sale(id=n * 10 + m, price=m * 10, cost=m) for m in (1, 2)]
        session.add(client)
    session.commit()


@pytest.fixture
def shop(make_site: Any) -> Callable[..., Site]:
    """Makes a site over clients and their sales: ``shop({Sale: SaleView}, policy=…)``."""

    def make(views: Any = None, **options: Any) -> Site:
        site: Site = make_site(Base, **options).register_all(views)
        with site.session() as session:
            fill(session)
        return site

    return make


def headings(html: str) -> list[str]:
    return re.findall(r'<th scope="col" data-column="([^"]+)"', html)


def cells(html: str) -> list[list[str]]:
    """The text of each cell, row by row."""
    body = html.partition("<tbody>")[2].partition("</tbody>")[0]
    return [
        [
            re.sub(r"<[^>]+>", "", cell).strip()
            for cell in re.findall(r"<t[dh](?! class=\"(?:check|do))[^>]*>(.*?)</t[dh]>", row, re.S)
        ]
        for row in body.split("<tr")[1:]
    ]


def test_the_address_names_the_columns_and_their_order(shop: Any) -> None:
    site = shop()
    html = site.client.get(site.url(Sale, columns="price,client.country,id")).text
    assert headings(html) == ["price", "client.country", "id"]
    assert cells(html)[0] == ["10", "CZ", "11"]


def test_links_of_the_page_keep_the_columns(shop: Any) -> None:
    site = shop()
    html = site.client.get(site.url(Sale, columns="id,price:90")).text
    assert "sort=price&amp;columns=id,price:90" in html


def test_a_width_stands_in_the_table_without_a_style(shop: Any) -> None:
    site = shop()
    html = site.client.get(site.url(Sale, columns="id,price:90")).text
    assert '<col width="90">' in html
    assert "style=" not in html
    assert '<td class="num sized">' in html


def test_a_width_that_is_none_is_left_out(shop: Any) -> None:
    site = shop()
    for width in ("1", "99999", "9e9", "-5", "wide", "０９０"):
        answer = site.client.get(site.url(Sale, columns=f"id,price:{width}"))
        assert answer.status_code == 200
        assert "<col" not in answer.text


NOT_ON_OFFER = [
    *("__class__", "metadata", "registry", "_memo", "destroy", "query", "nothing", "."),
    *("client.sales", "client.sales.price", "client.client", "client.photo"),
    *("client.region.tax_token", "client.region.name.upper"),
]


def test_what_is_not_on_offer_is_told_and_not_shown(shop: Any) -> None:
    site = shop()
    html = site.client.get(site.url(Sale, columns=",".join(["id", *NOT_ON_OFFER]))).text
    assert headings(html) == ["id"]
    for name in NOT_ON_OFFER:
        assert f"There is no column “{name}” to show." in html


def test_without_any_column_on_offer_the_usual_ones_are_shown(shop: Any) -> None:
    site = shop()
    html = site.client.get(site.url(Sale, columns="destroy")).text
    assert headings(html) == headings(site.client.get(site.url(Sale)).text)


def test_columns_go_two_relationships_far(shop: Any) -> None:
    site = shop()
    html = site.client.get(site.url(Sale, columns="id,client.region.name,client.region")).text
    assert cells(html)[0] == ["11", "Bohemia", "Bohemia"]


def test_hybrids_properties_and_methods_are_columns(shop: Any) -> None:
    site = shop()
    html = site.client.get(site.url(Sale, columns="id,doubled,margin,words,worth,grade")).text
    assert cells(html)[1] == ["12", "40", "18", "dear", "2", "A"]
    assert "Worth" in html
    assert 'title="In crowns"' in html


def test_what_a_computed_column_says_stands_for_nothing(shop: Any) -> None:
    site = shop()
    with site.session() as session:
        session.execute(sa.update(Sale).values(cost=None))
        session.commit()
    assert cells(site.client.get(site.url(Sale, columns="worth")).text)[0] == ["not known"]


@pytest.mark.parametrize(
    ("sort", "first"), [("-margin", "22"), ("-worth", "12"), ("client.name", "11")]
)
def test_chosen_columns_give_an_order(shop: Any, sort: str, first: str) -> None:
    site = shop()
    html = site.client.get(site.url(Sale, columns="id,margin,worth,client.name", sort=sort)).text
    assert cells(html)[0][0] in (first, str(int(first) + 10), str(int(first) + 20))
    assert "cannot be ordered" not in html


def test_a_hybrid_without_sql_gives_no_order(shop: Any) -> None:
    site = shop()
    answer = site.client.get(site.url(Sale, columns="id,words", sort="words"))
    assert answer.status_code == 200
    assert "cannot be ordered by “words”" in answer.text
    assert "sort=words" not in answer.text.partition("<table")[2]


@pytest.mark.parametrize(
    "columns",
    [
        "client,client.country,client.region.name",
        "client.shouted,client.name,client.region",
        "doubled,margin,words,worth,grade",
        "client.first_tag,client.tag_names",
    ],
)
def test_more_rows_take_no_more_statements(shop: Any, statements: Any, columns: str) -> None:
    site = shop()
    url = site.url(Sale, columns=f"id,{columns}", page_size=20)
    site.client.get(url)
    with statements(site.engine) as few:
        site.client.get(url)
    with site.session() as session:
        session.add_all(
            Client(id=n, name=f"C{n}", tags=[Tag(name="x")], sales=[Sale(id=n, price=n)])
            for n in range(100, 112)
        )
        session.commit()
    with statements(site.engine) as many:
        assert site.client.get(url).status_code == 200
    assert len(many) == len(few) <= 4


def test_members_of_a_proxy_stand_one_after_the_other(shop: Any) -> None:
    site = shop()
    html = site.client.get(site.url(Client, columns="id,tag_names,sales")).text
    assert cells(html)[0] == ["1", "old, good", "2"]


# Who may see them


class Narrow(Policy):
    """Nobody sees costs, countries or regions."""

    def may(self, principal: Any, action: str, model: Any = None, column: Any = None) -> bool:
        return model is not Region and column not in ("cost", "country")


def test_a_column_out_of_reach_is_not_on_offer(shop: Any) -> None:
    site = shop(policy=Narrow())
    named = ["cost", "client.country", "client.region", "client.region.name"]
    html = site.client.get(site.url(Sale, columns=",".join(["id", *named]))).text
    assert headings(html) == ["id"]
    form = site.client.get(site.url(Sale, choose="columns")).text
    assert not any(f'value="{name}"' in form for name in named)
    assert 'value="client.name"' in form


def test_a_list_leaves_out_what_its_visitor_may_not_read(shop: Any) -> None:
    html = (site := shop(policy=Narrow())).client.get(site.url(Sale)).text
    assert "price" in headings(html)
    assert "cost" not in headings(html)


def test_a_view_says_for_each_request_which_columns_there_are(shop: Any) -> None:
    class SaleView(ModelView):
        def get_visible_columns(self) -> list[tuple[str, str]]:
            found = super().get_visible_columns()
            return [c for c in found if c[0] != "price" or "x" in flask.request.args]

    site = shop({Sale: SaleView})
    assert "price" not in headings(site.client.get(site.url(Sale)).text)
    assert "price" not in headings(site.client.get(site.url(Sale, columns="id,price")).text)
    assert "price" in headings(site.client.get(site.url(Sale, x="1")).text)


def test_options_narrow_what_is_on_offer(shop: Any) -> None:
    class SaleView(ModelView):
        column_list = ("id", "price")
        column_choosable_list = ("client.name", "cost")
        column_exclude_list = ("cost",)

    site = shop({Sale: SaleView})
    html = site.client.get(site.url(Sale, columns="price,client.name,cost,client.country")).text
    assert headings(html) == ["price", "client.name"]


def test_a_list_without_the_choice_has_no_button_and_no_ear_for_it(shop: Any) -> None:
    class SaleView(ModelView):
        column_list = ("id", "price")
        can_choose_columns = False

    site = shop({Sale: SaleView})
    html = site.client.get(site.url(Sale, columns="cost")).text
    assert headings(html) == ["id", "price"]
    assert "data-columns-link" not in html
    assert "columns-form" not in site.client.get(site.url(Sale, choose="columns")).text


# The form


def test_the_form_leads_back_to_the_list_with_the_columns_in_their_places(shop: Any) -> None:
    site = shop()
    sent = {"at:id": "2", "at:client.name": "1", "width:id": "80", "search": "x", "at:cost": ""}
    url = site.url(Sale, choose="columns", column=["id", "cost", "client.name"], **sent)
    answer = site.client.get(url)
    assert answer.status_code == 303
    assert answer.location == site.url(Sale) + "?search=x&columns=client.name,id:80,cost"


def test_what_was_chosen_is_kept_for_this_list_alone(shop: Any) -> None:
    site, client = (made := shop()), made.client
    client.get(site.url(Sale, choose="columns", column=["price", "id"]))
    assert headings(client.get(site.url(Sale)).text) == ["price", "id"]
    assert "price" not in headings(client.get(site.url(Client)).text)
    client.get(site.url(Sale, choose="usual"))
    assert headings(client.get(site.url(Sale)).text)[0] == "id"


def test_choosing_the_usual_columns_keeps_nothing(shop: Any) -> None:
    site, client = (made := shop()), made.client
    usual = headings(client.get(site.url(Sale)).text)
    answer = client.get(site.url(Sale, choose="columns", column=usual))
    assert answer.location == site.url(Sale)
    assert client.get_cookie("admin_columns", path="/admin/sale/") is None


def test_a_cookie_is_looked_up_as_the_address_is(shop: Any) -> None:
    site, client = (made := shop()), made.client
    client.set_cookie("admin_columns", "id,destroy,__class__,client.region.tax_token")
    assert headings(client.get(site.url(Sale)).text) == ["id"]


def test_a_width_that_was_drawn_is_kept_with_the_columns(shop: Any) -> None:
    site, client = (made := shop()), made.client
    client.get(site.url(Sale, choose="columns", column=["id", "price"]))
    answer = client.get(site.url(Sale, choose="widths", columns="id,price:120"))
    assert answer.status_code == 204
    assert '<col width="120">' in client.get(site.url(Sale)).text
    # A width on somebody else's columns does not make them one's own.
    client.get(site.url(Sale, choose="widths", columns="id,cost:120"))
    assert headings(client.get(site.url(Sale)).text) == ["id", "price"]


def test_the_form_offers_related_columns_under_the_way_to_them(shop: Any) -> None:
    site = shop()
    html = site.client.get(site.url(Sale, choose="columns")).text
    offered = re.findall(r'name="column" value="([^"]+)"', html)
    assert {"client.country", "client.region.name", "margin", "worth", "grade"} < set(offered)
    assert not {"destroy", "_memo", "client.region.tax_token", "client.sales"} & set(offered)
    assert len(offered) == len(set(offered))


# Which columns lead to the row


def test_an_option_says_which_columns_lead_to_the_row(shop: Any) -> None:
    class SaleView(ModelView):
        column_list = ("id", "price", "cost")
        column_link_list = ("price",)

    site = shop({Sale: SaleView})
    row = site.client.get(site.url(Sale)).text.partition("<tbody>")[2].partition("</tr>")[0]
    assert re.search(r'<a href="/admin/sale/details/\?id=11">10</a>', row)
    assert not re.search(r"<a href=[^>]+>11</a>", row)


def test_a_method_of_the_view_is_a_column(shop: Any) -> None:
    class SaleView(ModelView):
        column_list = ("id", "share")

        @display("Share of cost", sort="cost")
        def share(self, sale: Sale) -> str:
            return f"{sale.cost} of {sale.price}"

    site = shop({Sale: SaleView})
    html = site.client.get(site.url(Sale, sort="-share")).text
    assert "Share of cost" in html
    assert cells(html)[0][1] == "2 of 20"


def test_an_error_of_a_computed_column_is_not_hidden(shop: Any) -> None:
    class SaleView(ModelView):
        column_list = ("id", "wrong")

        @display("Wrong")
        def wrong(self, sale: Sale) -> str:
            raise AttributeError("of the developer")

    site = shop({Sale: SaleView})
    with pytest.raises(AttributeError, match="of the developer"):
        site.client.get(site.url(Sale))


# How values stand in their cells


class Note(Base):
    __tablename__ = "notes"
    id: Mapped[int] = mapped_column(primary_key=True)
    name: Mapped[str] = mapped_column(sa.String(200))
    page: Mapped[str] = mapped_column(sa.String(200))
    body: Mapped[str] = mapped_column(sa.Text)


def row_of(site: Site, client: Any = None, **values: str) -> str:
    """The one row of the list of notes."""
    with site.session() as session:
        session.add(Note(**{"id": 5, "name": "n", "page": "p", "body": "b", **values}))
        session.commit()
    html: str = (client or site.client).get(site.url(Note, columns="name,page,body")).text
    return html.partition("<tbody>")[2].partition("</tbody>")[0]


def test_a_blank_name_still_leads_to_its_row(shop: Any) -> None:
    row = row_of(shop(), name="   ", body="")
    assert re.search(r'<a href="/admin/note/details/\?id=5[^"]*"><span class="none"[^>]*>“ ”', row)
    assert len(re.findall("“ ”", row)) == 2


def test_an_address_is_a_link_and_one_that_would_run_is_text(shop: Any) -> None:
    site = shop()
    row = row_of(site, page="https://example.com/a?b=1&c=2", body="javascript:alert(1)")
    assert 'href="https://example.com/a?b=1&amp;c=2" rel="noopener noreferrer"' in row
    assert "<td>javascript:alert(1)</td>" in row.replace(' class="clip"', "")
    assert 'href="javascript' not in row


def test_an_address_that_names_a_row_leads_to_the_row(shop: Any) -> None:
    row = row_of(shop(), name="https://example.com/")
    assert re.search(r'<a href="/admin/note/details/[^"]*">https://example.com/</a>', row)


def test_one_cell_names_the_row(shop: Any) -> None:
    row = row_of(shop())
    assert row.count('role="rowheader"') == 1
    assert '<td role="rowheader" class="key">' in row


def test_long_texts_stand_in_full_where_that_was_chosen(shop: Any) -> None:
    site, client = (made := shop()), made.client
    client.get(site.url(Note, choose="wrapped"))
    row = row_of(site, client, body="word " * 100 + "end")
    assert '<span class="prose">word word' in row
    assert "end</span>" in row


class Stamp(Base):
    __tablename__ = "stamps"
    id: Mapped[int] = mapped_column(primary_key=True)

    def __str__(self) -> str:
        return f"Stamp number {self.id}"


def test_the_object_itself_can_be_a_column(shop: Any) -> None:
    class StampView(ModelView):
        column_list = ("id", "__str__")

    site = shop({Stamp: StampView})
    with site.session() as session:
        session.add(Stamp(id=5))
        session.commit()
    assert cells(site.client.get(site.url(Stamp)).text) == [["5", "Stamp number 5"]]


def test_columns_of_a_class_that_is_narrowed_are_not_on_offer_and_its_rows_not_counted(
    shop: Any,
) -> None:
    class Some(Policy):
        def rows(self, principal: Any, action: str, model: Any) -> Any:
            if model is Tag:
                return Tag.name == "good"
            return Client.id == 1 if model is Client else None

    class ClientView(ModelView):
        column_list = ("id", "tags")

    site = shop({Client: ClientView}, policy=Some(), sign_in="none")
    html = site.client.get(site.url(Sale, columns="id,client.country,client.name")).text
    assert headings(html) == ["id"]
    assert cells(site.client.get(site.url(Client)).text) == [["1", "1"]]
