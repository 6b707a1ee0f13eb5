"""Types of SQLAlchemy-Utils: lossless like any other, and passwords never shown."""

from __future__ import annotations

import enum
import ipaddress
import uuid

import pytest
import sqlalchemy as sa

from tests.db.typed_columns import model_of


class Side(enum.Enum):
    LEFT = "l"
    RIGHT = "r"


@pytest.fixture
def stored(make_site):
    """A row with a value of every type that the installed libraries allow."""
    utils = pytest.importorskip("sqlalchemy_utils")
    columns = {
        "email": (utils.EmailType(), "a@b.example"),
        "choice": (utils.ChoiceType([("a", "First"), ("b", "Second")]), "b"),
        "side": (utils.ChoiceType(Side, impl=sa.String(5)), Side.RIGHT),
        "ip": (utils.IPAddressType(), ipaddress.ip_address("10.0.0.1")),
        "uuid": (utils.UUIDType(), uuid.UUID(int=7)),
        "uuid_text": (utils.UUIDType(binary=False), uuid.UUID(int=8)),
        "json": (utils.JSONType(), {"b": [1], "a": None}),
        "numbers": (utils.ScalarListType(int), [1, 2]),
        "zone": (utils.TimezoneType(backend="zoneinfo"), "Europe/Paris"),
        "url": (utils.URLType(), "https://example.org/?q=1"),
    }
    for name, library, make in (
        ("colour", "colour", lambda: (utils.ColorType(), "#123456")),
        ("moment", "arrow", lambda: (utils.ArrowType(), "2026-07-01T10:00:00")),
        ("secret", "cryptography", lambda: (utils.StringEncryptedType(sa.Unicode, "k"), "tëxt")),
        ("pw", "passlib", lambda: (utils.PasswordType(schemes=["pbkdf2_sha512"]), "old one")),
    ):
        try:
            __import__(library)
        except ImportError:
            continue
        columns[name] = make()
    utils.force_auto_coercion()
    base, model = model_of(columns)
    site = make_site(base).register_all()
    with site.session() as session:
        session.add(model(id=1, **{name: value for name, (_, value) in columns.items()}))
        session.commit()
    yield site, model, set(columns)
    utils.listeners.sa.event.remove(
        sa.orm.Mapper, "mapper_configured", utils.listeners.coercion_listener
    )


def test_a_form_of_them_that_nobody_touched_writes_nothing(stored, controls, statements):
    site, model, _ = stored
    url = site.url(model, "edit", identity=(1,))
    sent = controls(site.client.get(url).text)
    with statements(site.engine) as seen:
        assert site.client.post(url, data=sent).status_code == 302
    assert [s for s in seen if not s.startswith("SELECT")] == []


def test_what_is_shown_of_them_makes_the_same_values_in_a_new_row(stored, controls):
    site, model, names = stored
    sent = controls(site.client.get(site.url(model, "edit", identity=(1,))).text)
    names -= {"secret", "pw"}
    typed = {name: sent[name] for name in names} | {"id": "2"}
    response = site.client.post(site.url(model, "create"), data=typed)
    assert response.status_code == 302, response.text
    with site.session() as session:
        one, other = session.get(model, 1), session.get(model, 2)
        for name in names:
            assert getattr(one, name) == getattr(other, name), name


def test_a_password_is_typed_and_never_shown(stored):
    site, model, names = stored
    if "pw" not in names:
        pytest.skip("passlib is not installed")
    url = site.url(model, "edit", identity=(1,))
    for page in (url, site.url(model, "details", identity=(1,)), site.url(model)):
        text = site.client.get(page).text
        assert "pbkdf2" not in text
        assert "old one" not in text
    assert 'type="password"' in site.client.get(url).text
    assert site.client.post(url, data={"pw": "a new one"}).status_code == 302
    with site.session() as session:
        assert session.get(model, 1).pw == "a new one"
