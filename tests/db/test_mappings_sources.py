"""Models of every making, and every way to hand them to the admin."""

from __future__ import annotations

import dataclasses
import types
from typing import Any

import flask
import pytest
import sqlalchemy as sa
from flask_sqlalchemy import SQLAlchemy
from sqlalchemy import orm
from sqlalchemy.ext.automap import automap_base

from admin_app import Admin, ModelView
from admin_app.database import engine_options, listen, normalise_url
from admin_app.errors import ConfigurationError
from examples.fleet.models import Order


class Host:
    """An application of somebody else, with Flask-SQLAlchemy as he has set it up."""

    def __init__(self, url: str, db: SQLAlchemy | None = None, **config: Any) -> None:
        self.app = flask.Flask("host")
        self.app.config.update(
            SECRET_KEY="a key for tests only, long enough",
            SQLALCHEMY_DATABASE_URI=normalise_url(url),
            SQLALCHEMY_ENGINE_OPTIONS=engine_options(normalise_url(url)),
            TESTING=True,
            WTF_CSRF_ENABLED=False,
            **config,
        )
        self.db = db or SQLAlchemy()
        self.db.init_app(self.app)
        with self.app.app_context():
            self.engine: sa.Engine = self.db.engine
            listen(self.engine)

    def open(self, db: Any = None) -> Host:
        """Make the tables, and an admin over ``db``, the application's own if none is given."""
        with self.app.app_context():
            self.db.create_all()
        self.admin = Admin(self.app, self.db if db is None else db, sign_in="none")
        return self

    @property
    def client(self) -> Any:
        return self.app.test_client()

    def url(self, model: type[Any], page: str = "list", **values: Any) -> str:
        with self.app.test_request_context():
            return self.admin.view_for(model).url_for(page, **values)


def new_row(n: int) -> dict[str, str]:
    return {"name": f"Row {n}"}


def test_a_model_of_flask_sqlalchemy_has_working_pages(database_url, journey):
    db = SQLAlchemy()

    class Thing(db.Model):
        id = db.Column(db.Integer, primary_key=True)
        name = db.Column(db.String(40), nullable=False)
        note = db.Column(db.Text)

    host = Host(database_url, db).open()
    host.admin.register_all(db)
    journey(host, Thing).whole(new_row, note="changed", writes={"note"})


def test_a_model_of_flask_sqlalchemy_over_a_base_of_its_own_has_working_pages(
    database_url, journey
):
    class Base(orm.DeclarativeBase):
        pass

    db = SQLAlchemy(model_class=Base)

    class Thing(db.Model):
        id: orm.Mapped[int] = orm.mapped_column(primary_key=True)
        name: orm.Mapped[str]

    host = Host(database_url, db).open()
    host.admin.add_view(ModelView(Thing, db))
    journey(host, Thing).whole(new_row, name="changed", writes={"name"})


def plain_model() -> tuple[type[Any], type[Any]]:
    class Base(orm.DeclarativeBase):
        pass

    class Thing(Base):
        __tablename__ = "things"
        id: orm.Mapped[int] = orm.mapped_column(primary_key=True)
        name: orm.Mapped[str]

    return Base, Thing


@pytest.mark.parametrize(
    "source", ["db", "session", "scoped_session", "sessionmaker"], ids=lambda s: f"by {s}"
)
def test_a_plain_model_is_registered_with_any_kind_of_session(database_url, journey, source):
    base, thing = plain_model()
    host = Host(database_url, SQLAlchemy(metadata=base.metadata)).open()
    maker = orm.sessionmaker(host.engine)
    given = {
        "db": host.db,
        "session": host.db.session,
        "scoped_session": orm.scoped_session(maker),
        "sessionmaker": maker,
    }[source]
    host.admin.add_view(ModelView(thing, given))
    journey(host, thing).whole(new_row, name="changed", writes={"name"})


@pytest.mark.parametrize("source", ["scoped_session", "sessionmaker"], ids=lambda s: f"by {s}")
def test_an_admin_may_have_a_session_instead_of_flask_sqlalchemy(database_url, journey, source):
    base, thing = plain_model()
    host = Host(database_url, SQLAlchemy(metadata=base.metadata))
    maker = orm.sessionmaker(host.engine)
    host.open(orm.scoped_session(maker) if source == "scoped_session" else maker)
    host.admin.register(thing)
    journey(host, thing).whole(new_row, name="changed", writes={"name"})


def test_a_session_of_a_view_ends_with_the_request(database_url, journey):
    base, thing = plain_model()
    host = Host(database_url, SQLAlchemy(metadata=base.metadata)).open()
    session = orm.scoped_session(orm.sessionmaker(host.engine))
    host.admin.add_view(ModelView(thing, session))
    journey(host, thing).list()
    assert not session.registry.has()


class Dataclasses(orm.MappedAsDataclass, orm.DeclarativeBase):
    pass


class Member(Dataclasses):
    """Arguments that its ``__init__`` needs, takes by keyword only, or does not take at all."""

    __tablename__ = "members"
    id: orm.Mapped[int] = orm.mapped_column(primary_key=True, init=False)
    name: orm.Mapped[str]
    level: orm.Mapped[int] = orm.mapped_column(default=3, kw_only=True)
    note: orm.Mapped[str | None] = orm.mapped_column(default=None)
    club_id: orm.Mapped[int | None] = orm.mapped_column(sa.ForeignKey("clubs.id"), init=False)
    club: orm.Mapped[Club | None] = orm.relationship(back_populates="members", default=None)


class Club(Dataclasses):
    __tablename__ = "clubs"
    id: orm.Mapped[int] = orm.mapped_column(primary_key=True, init=False)
    name: orm.Mapped[str] = orm.mapped_column(kw_only=True)
    members: orm.Mapped[list[Member]] = orm.relationship(
        back_populates="club", default_factory=list, repr=False
    )


@pytest.mark.parametrize("model", [Member, Club])
def test_a_model_mapped_as_a_dataclass_has_working_pages(make_site, journey, model):
    site = make_site(Dataclasses).register_all()
    journey(site, model).whole(new_row, name="changed", writes={"name"})


def test_a_dataclass_keeps_its_defaults_where_nothing_is_typed(make_site, journey):
    site = make_site(Dataclasses).register_all()
    way = journey(site, Member)
    assert way.controls(way.get("create"))["level"] == ["3"]
    way.create(name="Ana")
    with site.session() as session:
        assert session.scalars(sa.select(Member.level)).one() == 3


def test_a_dataclass_is_linked_by_its_picker(make_site, journey):
    site = make_site(Dataclasses).register_all()
    club = journey(site, Club).create(name="Chess")
    way = journey(site, Member)
    assert way.lookup("club") == {"Chess": club}
    key = way.create(name="Ana", club=club)
    assert "Chess" in way.list()
    assert way.change(key, club="")[0].startswith("UPDATE members SET club_id=")


class Particular(orm.DeclarativeBase):
    pass


class Invoice(Particular):
    """A class that cannot be made without arguments, and sets what no column defaults to."""

    __tablename__ = "invoices"
    id: orm.Mapped[int] = orm.mapped_column(primary_key=True)
    name: orm.Mapped[str]
    state: orm.Mapped[str | None]

    def __init__(self, name: str, state: str = "draft") -> None:
        self.name, self.state = name, state


def test_a_class_whose_init_wants_arguments_has_working_pages(make_site, journey):
    site = make_site(Particular).register_all()
    journey(site, Invoice).whole(new_row, state="sent", writes={"state"})


def test_an_init_without_needs_is_run_for_a_new_row(make_site, journey):
    class Base(orm.DeclarativeBase):
        pass

    class Note(Base):
        __tablename__ = "notes"
        id: orm.Mapped[int] = orm.mapped_column(primary_key=True)
        name: orm.Mapped[str]
        state: orm.Mapped[str | None]

        def __init__(self, state: str = "draft", **values: Any) -> None:
            super().__init__(state=state, **values)

    site = make_site(Base).register_all()
    response = journey(site, Note).post_new({"name": "Ana"})
    assert response.status_code == 302
    with site.session() as session:
        assert session.scalars(sa.select(Note.state)).one() == "draft"


def test_a_class_mapped_imperatively_has_working_pages(make_site, journey):
    registry = orm.registry()
    things = sa.Table(
        "things",
        registry.metadata,
        sa.Column("id", sa.Integer, primary_key=True),
        sa.Column("name", sa.String(40), nullable=False),
    )

    @dataclasses.dataclass
    class Thing:
        name: str
        id: int | None = None

    registry.map_imperatively(Thing, things, properties={"label": orm.synonym("name")})
    site = make_site(registry)
    site.admin.register_all(registry)
    journey(site, Thing).whole(new_row, name="changed", writes={"name"})


def test_classes_of_automap_have_working_pages(make_site, database_url, journey):
    metadata = sa.MetaData()
    sa.Table(
        "shelf",
        metadata,
        sa.Column("id", sa.Integer, primary_key=True),
        sa.Column("name", sa.String(40), nullable=False),
    )
    sa.Table(
        "book",
        metadata,
        sa.Column("id", sa.Integer, primary_key=True),
        sa.Column("name", sa.String(40), nullable=False),
        sa.Column("shelf_id", sa.ForeignKey("shelf.id")),
    )
    engine = sa.create_engine(normalise_url(database_url))
    metadata.create_all(engine)
    base = automap_base()
    base.prepare(autoload_with=engine)
    site = make_site(base)
    site.admin.register_all(base)
    shelf = journey(site, base.classes.shelf).create(name="Crime")
    way = journey(site, base.classes.book)
    assert way.lookup("shelf") == {"Crime": shelf}
    way.whole(new_row, name="changed", shelf=shelf, writes={"name", "shelf_id"})


class Schemas(orm.DeclarativeBase):
    pass


class StoreItem(Schemas):
    __tablename__ = "items"
    __table_args__ = ({"schema": "store"},)
    id: orm.Mapped[int] = orm.mapped_column(primary_key=True)
    name: orm.Mapped[str]


class ArchiveItem(Schemas):
    __tablename__ = "items"
    __table_args__ = ({"schema": "archive"},)
    id: orm.Mapped[int] = orm.mapped_column(primary_key=True)
    name: orm.Mapped[str]
    item_id: orm.Mapped[int | None] = orm.mapped_column(sa.ForeignKey("store.items.id"))
    item: orm.Mapped[StoreItem | None] = orm.relationship()


class Unfiled(Schemas):
    __tablename__ = "unfiled"
    id: orm.Mapped[int] = orm.mapped_column(primary_key=True)
    name: orm.Mapped[str]
    item_id: orm.Mapped[int | None] = orm.mapped_column(sa.ForeignKey("store.items.id"))


@pytest.fixture
def schemas(postgresql_url: str) -> Host:
    engine = sa.create_engine(normalise_url(postgresql_url))
    with engine.begin() as connection:
        connection.execute(sa.schema.CreateSchema("store"))
        connection.execute(sa.schema.CreateSchema("archive"))
    host = Host(postgresql_url, SQLAlchemy(metadata=Schemas.metadata)).open()
    host.admin.register_all(Schemas)
    return host


@pytest.mark.parametrize("model", [StoreItem, ArchiveItem, Unfiled])
def test_tables_of_several_schemas_have_working_pages(schemas, journey, model):
    journey(schemas, model).whole(new_row, name="changed", writes={"name"})


def test_a_row_is_picked_from_another_schema(schemas, journey):
    item = journey(schemas, StoreItem).create(name="Lamp")
    assert journey(schemas, ArchiveItem).lookup("item") == {"Lamp": item}
    assert journey(schemas, Unfiled).lookup("item_id") == {"Lamp": item}


def test_the_menu_is_divided_by_schema(schemas):
    categories = {m.__name__: v.category for m, v in schemas.admin.views_by_model.items()}
    assert categories == {"StoreItem": "Store", "ArchiveItem": "Archive", "Unfiled": "Main"}


def test_tables_of_an_attached_sqlite_file_have_working_pages(sqlite_url, tmp_path, journey):
    class Base(orm.DeclarativeBase):
        pass

    class Item(Base):
        __tablename__ = "items"
        __table_args__ = ({"schema": "store"},)
        id: orm.Mapped[int] = orm.mapped_column(primary_key=True)
        name: orm.Mapped[str]

    host = Host(sqlite_url, SQLAlchemy(metadata=Base.metadata))

    @sa.event.listens_for(host.engine, "connect")
    def attach(connection: Any, record: Any) -> None:
        connection.execute(f"ATTACH '{tmp_path / 'store.db'}' AS store")

    host.engine.dispose()
    host.open()
    host.admin.register(Item)
    journey(host, Item).whole(new_row, name="changed", writes={"name"})


def test_models_of_several_binds_have_working_pages(database_url, tmp_path, journey):
    db = SQLAlchemy()

    class Here(db.Model):
        id = db.Column(db.Integer, primary_key=True)
        name = db.Column(db.String(40), nullable=False)

    class There(db.Model):
        __bind_key__ = "other"
        id = db.Column(db.Integer, primary_key=True)
        name = db.Column(db.String(40), nullable=False)

    binds = {"other": f"sqlite:///{tmp_path / 'other.db'}"}
    host = Host(database_url, db, SQLALCHEMY_BINDS=binds).open()
    host.admin.register_all(db)
    for model in (Here, There):
        with host.app.app_context():
            host.engine = db.engines["other" if model is There else None]
        way = journey(host, model)
        way.whole(new_row, name="changed", writes={"name"})
        way.create(name="kept")
    with host.app.app_context():
        counts = [db.session.scalar(sa.select(sa.func.count(m.id))) for m in (Here, There)]
    assert counts == [1, 1]


def test_the_dialect_of_a_form_is_that_of_the_models_own_bind(postgresql_url, tmp_path, journey):
    db = SQLAlchemy()

    class There(db.Model):
        __bind_key__ = "other"
        id = db.Column(db.Integer, primary_key=True)
        number = db.Column(db.Integer)

    binds = {"other": f"sqlite:///{tmp_path / 'other.db'}"}
    host = Host(postgresql_url, db, SQLALCHEMY_BINDS=binds).open()
    host.admin.register_all(db)
    journey(host, There).create(number=str(2**40))


# Names


def twin(module: str, table: str) -> type[Any]:
    """A class ``Item`` of a base of its own, as ``module`` would define it."""
    base = type("Base", (orm.DeclarativeBase,), {"__module__": module})
    namespace = {
        "__module__": module,
        "__tablename__": table,
        "__annotations__": {"id": orm.Mapped[int], "name": orm.Mapped[str]},
        "id": orm.mapped_column(primary_key=True),
    }
    return type("Item", (base,), namespace)


def endpoints(host: Host) -> dict[str, str]:
    return {m.__table__.name: v.endpoint for m, v in host.admin.views_by_model.items()}


@pytest.mark.parametrize("order", [(0, 1, 2), (2, 1, 0), (1, 0, 2)])
def test_classes_of_one_name_have_endpoints_that_no_order_changes(sqlite_url, order):
    twins = [twin("shop.models", "shop_items"), twin("hr.models", "hr_items"), twin("x.y", "item")]
    host = Host(sqlite_url).open()
    host.admin.register_all([twins[n] for n in order])
    assert endpoints(host) == {
        "shop_items": "shop_items",
        "hr_items": "hr_items",
        "item": "item",
    }


@pytest.mark.parametrize("order", [(0, 1), (1, 0)])
def test_classes_of_one_name_and_one_table_name_are_told_apart_by_module(sqlite_url, order):
    twins = [twin("shop.models", "items"), twin("hr.models", "items")]
    host = Host(sqlite_url).open()
    host.admin.register_all([twins[n] for n in order])
    found = {m.__module__: v.endpoint for m, v in host.admin.views_by_model.items()}
    assert found == {"shop.models": "shop_models_item", "hr.models": "hr_models_item"}


def test_classes_of_one_name_have_pages_of_their_own(sqlite_url, journey):
    twins = [twin("shop.models", "shop_items"), twin("hr.models", "hr_items")]
    host = Host(sqlite_url).open()
    for model in twins:
        model.metadata.create_all(host.engine)
    host.admin.register_all(twins)
    for model in twins:
        journey(host, model).whole(new_row, name="changed", writes={"name"})


def test_classes_of_one_name_are_told_apart_in_the_menu(sqlite_url):
    twins = [twin("shop.models", "shop_items"), twin("hr.models", "hr_items")]
    host = Host(sqlite_url).open()
    host.admin.register_all(twins)
    categories = {m.__module__: v.category for m, v in host.admin.views_by_model.items()}
    assert categories == {"shop.models": "Shop", "hr.models": "Hr"}


@pytest.mark.parametrize("name", ["Login", "Logout", "Assets", "Static", "Theme", "Admin", "Index"])
def test_a_model_may_be_named_as_the_admins_own_pages(make_site, journey, name):
    base = type("Base", (orm.DeclarativeBase,), {})
    namespace = {
        "__tablename__": f"{name.lower()}s",
        "__annotations__": {"id": orm.Mapped[int], "name": orm.Mapped[str]},
        "__module__": "shop.models",
        "id": orm.mapped_column(primary_key=True),
    }
    model = type(name, (base,), namespace)
    site = make_site(base)
    site.admin.register_all(base)
    journey(site, model).whole(new_row, name="changed", writes={"name"})
    index = site.client.get("/admin/")
    assert index.status_code == 200
    assert site.url(model) in index.text


# Sources


def test_classes_come_from_a_module_by_name_or_by_its_base(sqlite_url):
    base, thing = plain_model()
    module = types.ModuleType("shop.models")
    base.__module__ = "shop.models"
    module.Base = base
    host = Host(sqlite_url).open()
    assert [v.model for v in host.admin.register_all(module)] == [thing]


def test_classes_come_from_a_module_that_only_imports_them(sqlite_url):
    _, thing = plain_model()
    module = types.ModuleType("shop.models")
    module.Thing = thing
    module.orm = orm
    host = Host(sqlite_url).open()
    assert [v.model for v in host.admin.register_all(module)] == [thing]


def test_classes_come_from_a_base_a_registry_a_db_or_an_iterable(sqlite_url):
    db = SQLAlchemy()

    class Thing(db.Model):
        id = db.Column(db.Integer, primary_key=True)

    sources = [db, db.Model, db.Model.registry, [Thing], iter([Thing]), {Thing}, Thing]
    for source in sources:
        host = Host(sqlite_url).open()
        assert [v.model for v in host.admin.register_all(source)] == [Thing]


def test_what_is_no_source_of_classes_is_told_in_a_sentence(sqlite_url):
    host = Host(sqlite_url).open()
    with pytest.raises(ConfigurationError, match="takes a declarative base"):
        host.admin.register_all(42)


def test_an_iterable_with_something_unmapped_in_it_is_told_in_a_sentence(sqlite_url):
    host = Host(sqlite_url).open()
    with pytest.raises(ConfigurationError, match="dict"):
        host.admin.register_all([dict])


def test_classes_that_have_a_view_already_keep_it(sqlite_url):
    base, thing = plain_model()
    host = Host(sqlite_url).open()
    view = host.admin.register(thing)
    assert host.admin.register_all(base) == []
    assert host.admin.view_for(thing) is view


def test_the_views_of_some_classes_may_be_named(sqlite_url):
    class ThingView(ModelView):
        page_size = 7

    base, thing = plain_model()
    host = Host(sqlite_url).open()
    host.admin.register_all(base, views={thing: ThingView})
    assert isinstance(host.admin.view_for(thing), ThingView)


def test_a_model_is_not_registered_twice_by_mistake(own_site):
    with pytest.raises(ConfigurationError, match="Order has pages already"):
        own_site.admin.register(Order)
    second = own_site.admin.register(Order, endpoint="orders_again")
    assert own_site.admin.view_for(Order) is not second
    assert own_site.client.get("/admin/orders_again/").status_code == 200
