"""An application written for Flask-Admin, with our ModelView, in its Admin and in ours."""

from __future__ import annotations

import datetime as dt
import decimal
import re
from pathlib import Path
from typing import Any

import flask
import flask_admin
import sqlalchemy as sa
from flask_sqlalchemy import SQLAlchemy
from sqlalchemy import orm

import admin_app
from admin_app import ModelView
from admin_app.database import listen, normalise_url


class Base(orm.DeclarativeBase):
    pass


post_tag = sa.Table(
    "post_tag",
    Base.metadata,
    sa.Column("post_id", sa.ForeignKey("post.id"), primary_key=True),
    sa.Column("tag_id", sa.ForeignKey("tag.id"), primary_key=True),
)


class Tag(Base):
    __tablename__ = "tag"

    id: orm.Mapped[int] = orm.mapped_column(primary_key=True)
    name: orm.Mapped[str] = orm.mapped_column(sa.String(30))


class Author(Base):
    __tablename__ = "author"

    id: orm.Mapped[int] = orm.mapped_column(primary_key=True)
    name: orm.Mapped[str] = orm.mapped_column(sa.String(50))
    email: orm.Mapped[str | None] = orm.mapped_column(sa.String(80))
    posts: orm.Mapped[list[Post]] = orm.relationship(
        back_populates="author", foreign_keys="Post.author_id"
    )


class Post(Base):
    __tablename__ = "post"

    id: orm.Mapped[int] = orm.mapped_column(primary_key=True)
    title: orm.Mapped[str] = orm.mapped_column(sa.String(100))
    kind: orm.Mapped[str | None] = orm.mapped_column(sa.String(10))
    body: orm.Mapped[str | None] = orm.mapped_column(sa.Text)
    price: orm.Mapped[decimal.Decimal | None] = orm.mapped_column(sa.Numeric(8, 2))
    is_open: orm.Mapped[bool] = orm.mapped_column(default=False)
    day: orm.Mapped[dt.date | None]
    author_id: orm.Mapped[int | None] = orm.mapped_column(sa.ForeignKey("author.id"))
    author: orm.Mapped[Author | None] = orm.relationship(
        back_populates="posts", foreign_keys=author_id
    )
    tags: orm.Mapped[list[Tag]] = orm.relationship(secondary=post_tag)
    comments: orm.Mapped[list[Comment]] = orm.relationship(
        back_populates="post", cascade="all, delete-orphan"
    )


class Comment(Base):
    __tablename__ = "comment"

    id: orm.Mapped[int] = orm.mapped_column(primary_key=True)
    text: orm.Mapped[str] = orm.mapped_column(sa.String(100))
    post_id: orm.Mapped[int] = orm.mapped_column(sa.ForeignKey("post.id"))
    post: orm.Mapped[Post] = orm.relationship(back_populates="comments")
    tag_id: orm.Mapped[int | None] = orm.mapped_column(sa.ForeignKey("tag.id"))
    tag: orm.Mapped[Tag | None] = orm.relationship()


class Host:
    """An application with three posts of two authors, and an admin of either kind."""

    def __init__(self, url: str, kind: str, folder: Path, **options: Any) -> None:
        self.app = flask.Flask("host", template_folder=str(folder))
        self.app.config.update(
            SECRET_KEY="a key for tests only, long enough",
            SQLALCHEMY_DATABASE_URI=normalise_url(url),
            TESTING=True,
            WTF_CSRF_ENABLED=False,
        )
        self.folder = folder
        self.db = SQLAlchemy(metadata=Base.metadata)
        self.db.init_app(self.app)
        self.admin: Any
        if kind == "ours":
            options = {"sign_in": "none", "history": False, **options}
            self.admin = admin_app.Admin(self.app, self.db, name="Shop", **options)
        else:
            self.admin = flask_admin.Admin(self.app, name="Shop", **options)
        with self.app.app_context():
            self.engine = self.db.engine
            listen(self.engine)
        Base.metadata.create_all(self.engine)
        with self.session() as session:
            ada, bob = Author(id=1, name="Ada", email="ada@a.org"), Author(id=2, name="Bob")
            session.add_all([Tag(id=1, name="red"), Tag(id=2, name="green"), ada, bob])
            session.flush()
            session.add_all(
                [
                    Post(id=1, title="First", kind="a", author=ada, price=decimal.Decimal("-3.50")),
                    Post(id=2, title="Second", kind="b", author=bob, is_open=True),
                    Post(id=3, title="Third", kind="b", day=dt.date(2024, 5, 6)),
                ]
            )
            session.commit()
            if self.engine.dialect.name == "postgresql":
                for table in ("post", "author", "tag"):
                    session.execute(
                        sa.text(f"SELECT setval(pg_get_serial_sequence('{table}', 'id'), 100)")
                    )
                session.commit()

    def session(self) -> orm.Session:
        return orm.Session(self.engine)

    def add(self, view_class: Any = ModelView, model: Any = Post, **kwargs: Any) -> Any:
        view = view_class(model, self.db, **kwargs)
        self.admin.add_view(view)
        return view

    def template(self, name: str, text: str) -> None:
        path = self.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, "utf-8")

    def get(self, url: str, status: int = 200) -> str:
        response = self.app.test_client().get(url)
        assert response.status_code == status, response.text
        return response.text

    def post(self, url: str, status: int = 302, **data: Any) -> str:
        response = self.app.test_client().post(url, data=data)
        assert response.status_code == status, response.text
        return response.text

    def row(self, key: int = 1, model: Any = Post) -> Any:
        with self.session() as session:
            return session.get(model, key)

    def titles(self, url: str) -> list[str]:
        """The titles of posts on a list, in its order."""
        return re.findall(r"\b(First|Second|Third)\b", table(self.get(url)))


def table(html: str) -> str:
    """The text of the rows of a list."""
    rows = html.partition("<tbody>")[2].partition("</tbody>")[0]
    cells = re.sub(r'<td class="(check|do)">.*?</td>', "", rows, flags=re.DOTALL)
    return re.sub(r"<[^>]*>", " ", cells)


def fields(host: Host, page: str = "new/") -> list[str]:
    """The names of a form's controls in their order."""
    html = host.get(f"/admin/post/{page}").partition('id="record-form"')[2]
    names = re.findall(r'<(?:input|select|textarea)[^>]* name="([^"]+)"', html)
    return list(dict.fromkeys(n for n in names if n != "csrf_token" and not n.startswith("_")))


class Scoped(ModelView):
    column_list = ["title"]

    def get_query(self):
        return self.get_session().query(self.model).filter(self.model.kind == "b")

    def get_count_query(self):
        return self.get_session().query(sa.func.count("*")).filter(self.model.kind == "b")
