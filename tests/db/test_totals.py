"""Figures under a list, and rows that stand together with figures of their own."""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Callable
from decimal import Decimal
from typing import Any

import pytest
import sqlalchemy as sa
from sqlalchemy import orm
from sqlalchemy.ext.hybrid import hybrid_property
from sqlalchemy.orm import Mapped, mapped_column

from admin_app import Policy, chooser
from admin_app.listing import totals
from tests.db.conftest import Site


class Base(orm.DeclarativeBase):
    pass


class Buyer(Base):
    __tablename__ = "buyers"
    id: Mapped[int] = mapped_column(primary_key=True)
    first_name: Mapped[str] = mapped_column(sa.String(40))
    last_name: Mapped[str] = mapped_column(sa.String(40))


class Bill(Base):
    __tablename__ = "bills"
    id: Mapped[int] = mapped_column(primary_key=True)
    status: Mapped[str | None] = mapped_column(sa.String(10))
    price: Mapped[Decimal] = mapped_column(sa.Numeric(12, 2))
    number: Mapped[int | None]
    day: Mapped[dt.date | None]
    weight: Mapped[float | None]
    pin_secret: Mapped[int | None]
    buyer_id: Mapped[int | None] = mapped_column(sa.ForeignKey("buyers.id"))
    buyer: Mapped[Buyer | None] = orm.relationship()

    @hybrid_property
    def doubled(self) -> Decimal:
        return self.price * 2


def fill(session: orm.Session) -> None:
    session.add_all(
        [
            Buyer(id=1, first_name="Ana", last_name="Novak"),
            Buyer(id=2, first_name="Ben", last_name="Novak"),
        ]
    )
    session.flush()
    for at in range(1, 8):
        session.add(
            Bill(
                id=at,
                status=None if at == 7 else "paid" if at % 2 else "open",
                price=Decimal("0.10"),
                number=at,
                day=dt.date(2026, 1, at),
                weight=0.5,
                buyer_id=None if at == 7 else 1 + at % 2,
            )
        )
    session.commit()


@pytest.fixture
def office(make_site: Any) -> Callable[..., Site]:
    def make(**options: Any) -> Site:
        site: Site = make_site(Base, **options).register_all()
        with site.session() as session:
            fill(session)
        return site

    return make


def text(html: str) -> str:
    return re.sub(r"\s+", " ", re.sub(r"<[^>]+>", " ", html)).strip()


def footer(html: str) -> str:
    found = re.search(r"<tfoot>(.*?)</tfoot>", html, re.DOTALL)
    return "" if found is None else text(found[1])


def headings(html: str) -> list[str]:
    return [text(row) for row in re.findall(r'<tr class="group-head">(.*?)</tr>', html, re.DOTALL)]


def shown(site: Site, **arguments: str) -> str:
    answer = site.client.get(site.url(Bill), query_string=arguments)
    assert answer.status_code == 200
    return answer.text


def test_decimals_are_added_up_exactly(office: Any) -> None:
    html = shown(office(), totals="price:sum,price:avg")
    assert footer(html) == "All 7 bills Sum 0.70 Average 0.10"


def test_figures_are_of_all_rows_that_match_and_not_of_the_page(office: Any) -> None:
    site = office()
    html = shown(site, totals="number:sum,number:avg", page_size="20", status__is="paid")
    assert footer(html) == "All 3 bills Sum 9 Average 3.00"
    assert footer(shown(site, totals="number:sum", page_size="2")) == "All 7 bills Sum 28"


def test_days_have_a_first_and_a_last(office: Any) -> None:
    html = shown(office(), totals="day:min,day:max,weight:sum")
    assert "Earliest 2026-01-01 Latest 2026-01-07" in footer(html)
    assert "Sum 3.5" in footer(html)


def test_expressions_of_a_hybrid_are_added_up(office: Any) -> None:
    html = shown(office(), columns="id,doubled", totals="doubled:sum")
    assert "Sum 1.40" in footer(html)


def test_of_no_values_there_is_no_figure(office: Any) -> None:
    site = office()
    with site.session() as session:
        session.execute(sa.update(Bill).values(number=None))
        session.commit()
    assert footer(shown(site, totals="number:sum,number:avg")) == "All 7 bills Sum – Average –"


def test_whatever_is_asked_of_the_whole_list_takes_one_statement(
    office: Any, statements: Any
) -> None:
    site = office()
    shown(site)
    with statements(site.engine) as plain:
        shown(site)
    with statements(site.engine) as more:
        shown(site, totals="price:sum,price:avg,number:min,number:max,day:max")
    assert len(more) == len(plain) + 1


def test_a_figure_that_there_is_not_is_told_and_left_out(office: Any) -> None:
    named = ["id:sum", "status:sum", "price:median", "price", "pin_secret:sum", "__class__:max"]
    html = shown(office(), totals=",".join(named))
    assert footer(html) == ""
    assert [name for name in named if f"There is no total “{name}”." not in html] == []


def test_links_keep_figures_and_groups(office: Any) -> None:
    html = shown(office(), totals="price:sum", group="-status", sort="-number")
    assert "group=-status&amp;totals=price:sum" in html


# Groups


def test_rows_that_share_a_value_stand_together_with_their_figures(office: Any) -> None:
    html = shown(office(), group="-status", totals="price:sum", sort="-id")
    expected = {
        "Status paid · 3 bills Sum 0.30",
        "Status open · 3 bills Sum 0.30",
        "Status – · 1 bill Sum 0.10",
    }
    assert set(headings(html)) == expected


def test_groups_come_before_the_order_of_the_list(office: Any) -> None:
    html = shown(office(), group="status", sort="-number", status__filled="1")
    assert re.findall(r'name="rowid" value="(\d)"', html) == ["6", "4", "2", "5", "3", "1"]


def test_all_groups_of_a_page_take_one_statement_with_the_totals(
    office: Any, statements: Any
) -> None:
    site = office()
    shown(site, group="status", totals="price:sum")
    asked = {"totals": "price:sum,day:max", "number__gt": "1", "search": "o", "page_size": "2"}
    with statements(site.engine) as seen:
        html = shown(site, group="buyer", **asked)
    assert len(seen) <= 4
    assert footer(html) == "All 3 bills Sum 0.30 Latest 2026-01-06"
    assert headings(html)[0].endswith(
        "3 bills, 2 of them here, continued on the next page Sum 0.30 Latest 2026-01-06"
    )


def test_a_group_says_where_its_other_rows_are(office: Any) -> None:
    site = office()
    asked = {"group": "status", "status__filled": "1", "page_size": "2"}
    first, second, last = (headings(shown(site, **asked, page=p)) for p in "012")
    assert first == ["Status open · 3 bills, 2 of them here, continued on the next page"]
    assert second == [
        "Status open · 3 bills, 1 of them here, continued from the page before",
        "Status paid · 3 bills, 1 of them here, continued on the next page",
    ]
    assert last == ["Status paid · 3 bills, 2 of them here, continued from the page before"]


def test_related_rows_make_groups(office: Any) -> None:
    html = shown(office(), group="buyer", totals="number:sum")
    assert {h.partition(" ·")[0] for h in headings(html)} == {
        "Buyer Ana Novak",
        "Buyer Ben Novak",
        "Buyer –",
    }
    assert "3 bills Sum 12" in " ".join(headings(html))


def test_values_of_related_rows_make_groups(office: Any) -> None:
    site = office()
    html = shown(site, group="buyer.last_name", totals="number:sum")
    assert "Buyer last name Novak · 6 bills Sum 21" in headings(html)


def test_pages_in_groups_hold_every_row_once(office: Any) -> None:
    site = office()
    seen: list[str] = []
    url: str | None = site.url(Bill, group="buyer", page_size="3")
    while url:
        html = site.client.get(url).text
        seen += re.findall(r'name="rowid" value="(\d)"', html)
        found = re.search(r'rel="next" href="([^"]+)"', html)
        url = found and found[1].replace("&amp;", "&")
    assert sorted(seen) == list("1234567")


def test_a_group_that_makes_no_sense_is_told_and_left_out(office: Any) -> None:
    site = office()
    for name in ("id", "weight", "price", "pin_secret", "nothing", "__class__"):
        html = shown(site, group=name)
        assert headings(html) == []
        assert f"cannot be grouped by “{name}”" in html


def test_what_may_not_be_read_gives_neither_group_nor_figure(office: Any) -> None:
    class Narrow(Policy):
        def may(self, principal: Any, action: str, model: Any = None, column: Any = None) -> bool:
            return column not in ("price", "status")

    html = shown(office(policy=Narrow()), group="status", totals="price:sum")
    assert headings(html) == []
    assert footer(html) == ""


def test_what_takes_too_long_is_said_and_the_rows_are_there(
    office: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    site = office()
    monkeypatch.setattr(totals, "SECONDS", 0.05)
    slow = "(WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 90000000)"
    view = site.admin.view_for(Bill)
    with site.app.test_request_context():
        listing = view.get_listing(
            offers=chooser.offers(view),
            refine=lambda rows: rows.where(sa.text(f"bills.id < {slow} SELECT count(*) FROM n)")),
        )
        state = listing.parse({"totals": "price:sum"})
        assert totals.read(listing, view.get_session(), state, []).whole is None
        assert view.get_session().scalar(sa.select(sa.func.count(Bill.id))) == 7


def test_the_form_asks_for_figures_and_groups(office: Any) -> None:
    site = office()
    html = site.client.get(
        site.url(Bill, choose="columns", group="status", totals="price:avg")
    ).text
    assert '<option value="avg" selected>' in html
    assert '<option value="status" selected>' in html
    sent = {"total:price": "sum", "total:id": "", "group": "buyer"}
    answer = site.client.get(site.url(Bill, choose="columns", column=["id", "price"], **sent))
    assert answer.location == site.url(Bill) + "?columns=id,price&group=buyer&totals=price:sum"
