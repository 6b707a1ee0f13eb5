"""Rows from files, through the pages: chosen, mapped, tried, written, undone."""

from __future__ import annotations

import io
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import flask
import flask_admin
import pytest
import sqlalchemy as sa
from sqlalchemy import orm

from admin_app import ModelView, Policy, jobs
from admin_app.changes import ChangeSetRecord
from admin_app.imports import kept
from examples.fleet import models as fleet
from tests.db.conftest import Site


class Base(orm.DeclarativeBase):
    pass


tagged = sa.Table(
    "tagged",
    Base.metadata,
    sa.Column("item_id", sa.ForeignKey("item.id"), primary_key=True),
    sa.Column("tag_id", sa.ForeignKey("tag.id"), primary_key=True),
)


class Tag(Base):
    __tablename__ = "tag"
    id: orm.Mapped[int] = orm.mapped_column(primary_key=True)
    name: orm.Mapped[str] = orm.mapped_column(sa.String(20), unique=True)

    def __str__(self) -> str:
        return self.name


class Owner(Base):
    __tablename__ = "owner"
    id: orm.Mapped[int] = orm.mapped_column(primary_key=True)
    email: orm.Mapped[str] = orm.mapped_column(sa.String(40), unique=True)
    name: orm.Mapped[str] = orm.mapped_column(sa.String(40))

    def __str__(self) -> str:
        return f"{self.name} ({self.id})"


class Item(Base):
    __tablename__ = "item"
    id: orm.Mapped[int] = orm.mapped_column(primary_key=True)
    code: orm.Mapped[str] = orm.mapped_column(sa.String(10), unique=True)
    name: orm.Mapped[str | None] = orm.mapped_column(sa.String(20))
    price: orm.Mapped[int | None] = orm.mapped_column(default=7)
    low: orm.Mapped[int | None]
    high: orm.Mapped[int | None]
    is_good: orm.Mapped[bool] = orm.mapped_column(default=True)
    owner_id: orm.Mapped[int | None] = orm.mapped_column(sa.ForeignKey("owner.id"))
    owner: orm.Mapped[Owner | None] = orm.relationship()
    tags: orm.Mapped[list[Tag]] = orm.relationship(secondary=tagged)
    __table_args__ = (sa.CheckConstraint("low <= high", name="low_is_low"),)

    def __str__(self) -> str:
        return self.code


class Import:
    """The way of a file through the pages."""

    def __init__(self, site: Site, controls: Callable[..., Any], model: type = Item) -> None:
        self.site, self.client, self.controls = site, site.client, controls
        self.base = site.url(model) + "import/"

    def send(self, content: str | bytes, name: str = "items.csv") -> Any:
        """Choose a file; where it is accepted, its columns are at `url`."""
        data = content.encode() if isinstance(content, str) else content
        found = self.client.post(self.base, data={"file": (io.BytesIO(data), name)})
        self.url = found.location
        return found

    def check(self, **chosen: str) -> Any:
        """Send the columns as guessed, but for what is ``chosen``; the page of the trial."""
        sent = self.controls(self.client.get(self.url).text) | chosen
        found = self.client.post(self.url, data=sent)
        if found.status_code != 303:
            return found
        self.check_url = found.location
        found = self.client.get(self.check_url)
        self.sent = self.controls(found.text)
        return found

    def apply(self, rows: str = "all") -> Any:
        return self.client.post(self.check_url, data={**self.sent, "rows": rows})

    def counts(self, page: Any) -> dict[str, str]:
        pairs = re.findall(r'<span class="tag ?\w*">([\d,]+) (\w+)</span>', page.text)
        return {kind: number for number, kind in pairs}

    def run(self, content: str, rows: str = "all", **chosen: str) -> dict[str, str]:
        """The whole way; what the trial has counted."""
        assert self.send(content).status_code == 303
        page = self.check(**chosen)
        assert page.status_code == 200, page.text
        self.apply(rows)
        return self.counts(page)

    def items(self, *names: str) -> list[tuple[Any, ...]]:
        with self.site.session() as session:
            columns = [getattr(Item, name) for name in names or ("code", "name")]
            return [tuple(row) for row in session.execute(sa.select(*columns).order_by(Item.code))]


def _way(site: Site, controls: Any, folder: Path, view: type[ModelView] | None) -> Import:
    site.app.instance_path = str(folder)
    site.register_all({Item: view} if view else None)
    with site.session() as session:
        owner = Owner(email="ann@x.org", name="Ann")
        session.add_all([owner, Owner(email="bob@x.org", name="Bob"), Tag(name="red")])
        session.add(Tag(name="blue"))
        session.add(Item(code="A", name="Old", price=1, owner=owner, low=1, high=2))
        session.add(Item(code="B", name="Bee"))
        session.commit()
    return Import(site, controls)


@pytest.fixture
def make(make_site, controls, tmp_path: Path) -> Callable[..., Import]:
    """A site over items with two of them, and the way of a file; ``make(view, policy=…)``."""
    return lambda view=None, **options: _way(make_site(Base, **options), controls, tmp_path, view)


@pytest.fixture
def lite(sqlite_url: str, controls, tmp_path: Path) -> Callable[..., Import]:
    """As ``make``, on SQLite alone."""

    def build(view: type[ModelView] | None = None, **options: Any) -> Import:
        return _way(Site(sqlite_url, Base, **options).create_all(), controls, tmp_path, view)

    return build


def test_rows_are_tried_shown_and_then_written_as_one_change_that_can_be_undone(make) -> None:
    way = make(history=True)
    way.send("Code;Name;Price\nA;New;1\nB;Bee;\nC;Sea;3\n")
    page = way.check()
    assert way.counts(page) == {"created": "1", "changed": "1", "unchanged": "1"}
    assert "<del>Old</del>" in page.text
    assert "<ins>New</ins>" in page.text
    assert way.items() == [("A", "Old"), ("B", "Bee")]
    told = way.client.get(way.apply().location).text
    assert "Imported: 1 item created, 1 changed." in told
    assert way.items() == [("A", "New"), ("B", "Bee"), ("C", "Sea")]
    undo = re.search(r'href="([^"]+undo/[^"]*)"', told)[1]
    form = way.controls(way.client.get(undo).text, "undo-form")
    way.client.post(undo, data=form)
    assert way.items() == [("A", "Old"), ("B", "Bee")]


def test_rejected_cells_are_told_with_row_and_column_and_come_back_as_a_file(lite) -> None:
    way = lite()
    way.send("code,name,price\nC,Fine,1\nD,=x,much\nE,Much too long for this column,2\n")
    page = way.check()
    assert way.counts(page) == {"created": "1", "rejected": "2"}
    assert re.search(r"<td>price</td><td[^>]*>much</td><td[^>]*>This is not a whole", page.text)
    assert way.apply("all").status_code == 409
    assert len(way.items()) == 2
    way.apply("good")
    assert [code for code, _ in way.items()] == ["A", "B", "C"]
    rejected = way.client.get(way.check_url.replace("check", "rejected"))
    lines = rejected.data.decode("utf-8-sig").splitlines()
    assert lines[0] == "code,name,price,Row,Reason"
    assert lines[1] == "D,'=x,much,3,price: This is not a whole number."


def test_the_database_s_own_objections_are_told_by_row(make) -> None:
    way = make()
    rows = "".join(f"N{n},1,{0 if n % 10 == 3 else 5}\n" for n in range(40))
    assert way.run("code,low,high\n" + rows, "good") == {"created": "36", "rejected": "4"}
    assert len(way.items()) == 38
    rows = "".join(f"N{n},{n},{9 if n % 10 == 4 else n}\n" for n in range(10, 30) if n % 10 != 3)
    assert way.run("code,low,high\n" + rows, "good") == {"changed": "16", "rejected": "2"}
    assert ("N15", 15, 15) in way.items("code", "low", "high")


def test_what_must_be_unique_is_checked_in_the_table_and_in_the_file(make) -> None:
    way = make()
    way.send("code,name\nA,x\nC,y\nC,z\n")
    page = way.check(mode="create")
    assert "Another row already has this value." in page.text
    assert "Row 3 of this file has this value already." in page.text
    assert way.counts(page) == {"created": "1", "rejected": "2"}


def test_related_rows_are_found_by_key_column_or_label(make) -> None:
    way = make()
    for column, named in ("key", "1"), ("email", "ann@x.org"), ("label", "Ann (1)"):
        way.run("code,owner\nB,\n", empty="null")
        way.send(f"code,owner\nB,{named}\nC,7\n")
        way.client.post(way.url, data={"read": "1", "header": "1", "delimiter": ","})
        page = way.check(**{"column-1": f"owner:{column}"})
        assert "There is no owner “7”." in page.text
        assert way.counts(page) == {"changed": "1", "rejected": "1"}
        way.apply("good")
        assert way.items("code", "owner_id") == [("A", 1), ("B", 1)]


def test_the_way_by_which_most_rows_are_found_is_chosen_beforehand(lite) -> None:
    way = lite()
    for number, named in enumerate(("2", "bob@x.org", "Bob (2)")):
        way.send(f"code,owner,x{number}\nB,{named},\n")
        expected = ("key", "email", "label")[number]
        assert f'value="owner:{expected}" selected' in way.client.get(way.url).text


def test_members_of_a_collection_stand_in_one_cell(make) -> None:
    way = make()
    assert way.run("code,tags\nA,red; blue\nB,red\n") == {"changed": "2"}
    with way.site.session() as session:
        a, b = session.scalars(sa.select(Item).order_by(Item.code))
        assert [{t.name for t in one.tags} for one in (a, b)] == [{"red", "blue"}, {"red"}]
    assert way.run("code,tags\nA,blue;red\nB,red\n") == {"unchanged": "2"}
    rows = "code,low,high,tags\nC,2,1,red\nD,1,2,red;blue\nA,5,1,\n"
    assert way.run(rows, "good", empty="null") == {"created": "1", "rejected": "2"}


def test_an_empty_cell_means_what_was_chosen(make) -> None:
    way = make()
    rows = "code,price\nA,\nB,\n{},\n"
    way.run(rows.format("C"), empty="leave")
    assert way.items("code", "price") == [("A", 1), ("B", 7), ("C", 7)]
    way.run(rows.format("D"), empty="null")
    assert way.items("code", "price") == [("A", None), ("B", None), ("C", 7), ("D", None)]
    way.run(rows.format("E"), empty="default")
    assert way.items("code", "price")[:2] == [("A", 7), ("B", 7)]
    assert way.items("code", "price")[-1] == ("E", 7)


def test_a_mode_that_only_changes_rows_makes_none(lite) -> None:
    way = lite()
    way.send("id,name\n1,One\n99,No\n,None\n")
    page = way.check(mode="update", match="id")
    assert "There is no such item." in page.text
    assert "is given to find a row by" in page.text
    assert way.counts(page) == {"changed": "1", "rejected": "2"}


def test_what_has_changed_since_the_trial_is_told_and_nothing_is_written(make) -> None:
    way = make()
    way.send("code,name\nA,New\nC,Sea\n")
    way.check()
    with way.site.session() as session:
        session.add(Item(code="C", name="Mine"))
        session.commit()
    page = way.apply()
    assert page.status_code == 409
    assert "something else than what you looked at" in page.text
    assert "<del>Mine</del>" in page.text
    assert way.items() == [("A", "Old"), ("B", "Bee"), ("C", "Mine")]


def test_a_form_sent_twice_imports_once_and_the_same_file_is_recognised(lite) -> None:
    way = lite()
    way.send("code,name\nC,Sea\n")
    way.check(mode="create")
    assert way.apply().location == way.apply().location == way.site.url(Item)
    way.send("code,name\nC,Sea\n")
    assert "A file with the same content was imported" in way.client.get(way.url).text


def test_a_mapping_is_remembered_for_the_same_header(lite) -> None:
    way = lite()
    way.send("code,title\nC,Sea\n")
    way.check(**{"column-1": "name", "mode": "create"})
    way.send("code,title\nD,Dee\n")
    page = way.client.get(way.url).text
    assert re.search(r'name="column-1">.*?value="name" selected', page, re.S)
    assert 'value="create" selected' in page


def test_pasted_cells_are_read_and_a_wrong_guess_is_corrected(lite) -> None:
    way = lite()
    found = way.client.post(way.base, data={"pasted": "Code\tName\nC\tSea\n"})
    way.url = found.location
    way.client.post(way.url, data={"read": "1", "encoding": "utf-8", "delimiter": ";"})
    assert "Column 1" in way.client.get(way.url).text
    sent = {"read": "1", "encoding": "utf-8", "delimiter": "tab", "header": "1"}
    way.client.post(way.url, data=sent)
    way.check()
    way.apply()
    assert ("C", "Sea") in way.items()


@pytest.mark.parametrize(
    ("content", "told"),
    [
        (b"", "This file is empty."),
        (b"PK\x03\x04", "damaged or protected"),
        (b"x" * 3_000, "A file may have 2,000 bytes at most."),
    ],
)
def test_a_file_that_cannot_be_taken_is_told_and_not_kept(lite, content, told) -> None:
    way = lite()
    way.site.app.config["ADMIN_IMPORT_MAX_BYTES"] = 2_000
    found = way.send(content)
    assert found.status_code == 400
    assert told in found.text
    assert not [*Path(way.site.app.instance_path, "imports").iterdir()]


def test_a_request_that_is_far_too_large_is_refused_before_it_is_read(lite) -> None:
    way = lite()
    way.site.app.config["ADMIN_IMPORT_MAX_BYTES"] = 2_000
    sent = {"data": b"x" * 1_200_000, "content_type": "multipart/form-data; boundary=x"}
    assert way.client.post(way.base, **sent).status_code == 413


def test_a_trial_leaves_nothing_where_the_host_has_an_engine_of_its_own(
    sqlite_url: str, controls, tmp_path: Path
) -> None:
    app = flask.Flask("host", instance_path=str(tmp_path))
    app.config.update(SECRET_KEY="x" * 32, TESTING=True, WTF_CSRF_ENABLED=False)
    engine = sa.create_engine(sqlite_url)
    Base.metadata.create_all(engine)
    admin = flask_admin.Admin(app)
    admin.add_view(ModelView(Item, orm.scoped_session(orm.sessionmaker(engine))))
    client = app.test_client()
    sent = client.post("/admin/item/import/", data={"pasted": "code\nA\nB\n"}).location
    check = client.post(sent, data=controls(client.get(sent).text)).location
    with engine.connect() as connection:
        assert connection.scalar(sa.select(sa.func.count()).select_from(Item)) == 0
    client.post(check, data={"rows": "all"})
    with engine.connect() as connection:
        assert connection.scalar(sa.select(sa.func.count()).select_from(Item)) == 2


class Bounded(Policy):
    """Only rows whose code is before M, and no prices."""

    def may(self, principal, action, model=None, column=None) -> bool:
        return not (action == "change" and column == "price") and super().may(principal, action)

    def rows(self, principal, action, model):
        return Item.code < "M" if model is Item else None


def test_rows_out_of_reach_are_neither_found_nor_made_and_hidden_columns_not_offered(make) -> None:
    way = make(policy=Bounded())
    with way.site.session() as session:
        session.add(Item(code="Z", name="Theirs"))
        session.commit()
    way.send("code,name,price\nZ,Mine,1\nY,New,1\nC,Fine,1\n")
    assert 'value="price"' not in way.client.get(way.url).text
    page = way.check(**{"column-2": "price"})
    assert way.counts(page) == {"created": "1", "rejected": "2"}
    assert "would be out of your reach" in page.text
    way.apply("good")
    assert [code for code, _ in way.items()] == ["A", "B", "C", "Z"]


def test_who_may_not_import_finds_no_page_and_no_link(lite) -> None:
    class NoImport(Policy):
        def may(self, principal, action, model=None, column=None) -> bool:
            return action != "import"

    way = lite(policy=NoImport())
    assert way.client.get(way.base).status_code == 403
    assert way.base not in way.client.get(way.site.url(Item)).text


def test_a_file_is_its_owner_s_and_its_model_s_alone(lite, tmp_path: Path) -> None:
    way = lite()
    way.send("code\nC\n")
    token = way.url.rpartition("=")[2]
    other = way.site.url(Tag) + f"import/columns/?file={token}"
    assert way.client.get(other).status_code == 404
    for wrong in ("../../etc/passwd", "", "x" * 24):
        assert way.client.get(f"{way.base}columns/?file={wrong}").status_code == 404
    with pytest.raises(kept.NotFound):
        kept.find(tmp_path / "imports", token, "somebody else", "item:Item")


class Hooked(ModelView):
    def on_model_change(self, form: Any, model: Any, is_created: bool) -> None:
        if model.name == "bad":
            raise ValueError("Not this one.")
        model.low = 5 if is_created else 6
        model.high = 9

    def after_model_change(self, form: Any, model: Any, is_created: bool) -> None:
        self.seen = [*getattr(self, "seen", ()), (model.code, is_created)]


def test_hooks_of_the_application_run_for_each_row(lite) -> None:
    way = lite(Hooked)
    found = way.run("code,name\nA,x\nC,bad\nD,y\n", "good")
    assert found == {"created": "1", "changed": "1", "rejected": "1"}
    assert way.items("code", "low") == [("A", 6), ("B", None), ("D", 5)]
    assert way.site.admin.view_for(Item).seen == [("A", False), ("D", True)]


def test_columns_that_name_nothing_and_doubled_targets_are_sentences(lite) -> None:
    way = lite()
    way.send("x,y\n1,2\n")
    page = way.check()
    assert page.status_code == 400
    assert "Choose what at least one column" in page.text
    page = way.check(**{"column-0": "name", "column-1": "name", "mode": "nonsense"})
    assert "Name can be filled by one column only" in page.text
    page = way.check(**{"column-0": "name", "mode": "update", "match": "drop table"})
    assert "Choose by what rows are found." in page.text


def _long(count: int) -> str:
    return "code,name\n" + "".join(f"N{n},{n}\n" for n in range(count))


def test_a_long_file_is_imported_by_a_job_in_changes_of_one_kind(make, monkeypatch) -> None:
    monkeypatch.setattr(jobs, "IS_LONG", 100)
    way = make(history=True)
    way.send(_long(1_100) + f"X,{'x' * 21}\nN3,again\n")
    way.check()
    page = way.client.get(way.apply("good").location)
    assert way.counts(page) == {"created": "1,100", "rejected": "2"}
    assert "1,100 items imported" in page.text
    assert "/jobs/details/?id=1" in page.text
    assert len(way.items()) == 1_102
    with way.site.session() as session:
        sets = session.scalars(sa.select(ChangeSetRecord)).all()
        assert {(one.source, one.label, one.job_id) for one in sets} == {("import", "items.csv", 1)}
        assert sum(one.row_count for one in sets) == 1_100
    rejected = way.client.get(way.check_url.replace("check", "rejected")).text
    assert "X,xxx" in rejected
    assert "N3,again,1103,code: Row 5 of this file is about the same one." in rejected


def test_a_long_file_of_which_all_rows_are_wanted_is_imported_whole_or_not(lite, monkeypatch):
    monkeypatch.setattr(jobs, "IS_LONG", 100)
    way = lite()
    way.send(_long(600) + f"X,{'x' * 21}\n")
    way.check()
    page = way.client.get(way.apply("all").location)
    assert "1 row is rejected, so nothing was imported." in page.text
    assert len(way.items()) == 2
    way.send(_long(600))
    way.check()
    assert "600 items imported" in way.client.get(way.apply("all").location).text
    assert len(way.items()) == 602


def test_a_job_stops_before_rows_that_would_not_do_what_was_shown(lite, monkeypatch) -> None:
    monkeypatch.setattr(jobs, "IS_LONG", 100)
    way = lite()
    way.send(_long(1_200))
    way.check()
    with way.site.session() as session:
        session.add(Item(code="N700", name="Mine"))
        session.commit()
    page = way.client.get(way.apply("good").location)
    assert "Rows 502 to 1,001 of the file would now do something else" in page.text
    assert len(way.items()) == 503


@pytest.mark.parametrize(
    ("model", "type_", "count"),
    [
        (fleet.Specimen, "csv", 7),
        (fleet.Specimen, "jsonl", 7),
        (fleet.Specimen, "xlsx", 7),
        (fleet.Order, "csv", 120),
        (fleet.OrderItem, "xlsx", 360),
        (fleet.Product, "csv", 38),
        (fleet.Task, "jsonl", 48),
        (fleet.Document, "csv", 18),
    ],
)
def test_a_raw_export_of_every_column_changes_nothing_when_it_is_imported(
    site: Site, controls, tmp_path: Path, monkeypatch, model, type_: str, count: int
) -> None:
    monkeypatch.setattr(site.app, "instance_path", str(tmp_path))
    with site.app.test_request_context():
        names = [name for name, _ in site.admin.view_for(model).get_details_columns()]
    columns = ",".join(names)
    exported = site.client.get(site.url(model) + f"export/{type_}/?values=raw&columns={columns}")
    way = Import(site, controls, model)
    way.send(exported.data, f"rows.{type_}")
    assert way.counts(way.check()) == {"unchanged": str(count)}
