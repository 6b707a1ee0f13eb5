"""What the form of a row does beyond its fields: prefilling, copying, layout, saving."""

from __future__ import annotations

import pytest
import sqlalchemy as sa

from admin_app import ModelView
from examples.fleet.models import Customer, Document, Order, Product, Tag, Task
from tests.db.conftest import Site


def test_a_new_row_is_prefilled_from_the_url(site, controls):
    with site.session() as session:
        customer = session.scalars(sa.select(Customer).order_by(Customer.id)).first()
        id_, name = customer.id, str(customer.name)
    url = site.url(Order, "create") + f"?number=X-1&is_express=1&customer={id_}&freight=12.50"
    page = site.client.get(url).text
    sent = controls(page)
    assert sent["number"] == ["X-1"]
    assert sent["customer"] == [str(id_)]
    assert sent["freight"] == ["12.50"]
    assert sent["is_express"] == ["", "y"]
    assert name in page


def test_members_and_choices_are_prefilled_from_the_url(site, controls):
    sent = controls(site.client.get(site.url(Product, "create") + "?tags=1,2").text)
    assert sent["tags"] == ["1,2"]
    page = site.client.get(site.url(Task, "create") + "?category=Archived").text
    assert controls(page)["category"] == ["Archived"]


def test_a_row_is_saved_as_new_with_what_was_changed(site, controls):
    with site.session() as session:
        original = session.scalars(sa.select(Product).where(Product.tags.any())).first()
        id_, name, tags = original.id, original.name, {t.id for t in original.tags}
    url = f"{site.url(Product, 'edit')}?id={id_}"
    sent = controls(site.client.get(url).text) | {"sku": ["COPY-1"], "_save_as_new": ["1"]}
    assert site.client.post(url, data=sent).status_code == 302
    with site.session() as session:
        copy = session.scalars(sa.select(Product).filter_by(sku="COPY-1")).one()
        assert (copy.name, {t.id for t in copy.tags}) == (name, tags)
        assert session.get(Product, id_).sku != "COPY-1"


def test_a_copy_that_is_refused_stays_a_copy_and_takes_the_file_along(site, controls):
    with site.session() as session:
        id_, content = session.execute(sa.select(Document.id, Document.content)).first()
    url = f"{site.url(Document, 'edit')}?id={id_}"
    sent = controls(site.client.get(url).text)
    response = site.client.post(url, data=sent | {"filename": "", "_save_as_new": ["1"]})
    assert response.status_code == 400
    assert "New document" in response.text
    assert f'action="/admin/document/edit/?id={id_}"' in response.text
    again = controls(response.text) | {"filename": "again.pdf"}
    assert site.client.post(url, data=again).status_code == 302
    with site.session() as session:
        copied = session.scalar(sa.select(Document.content).filter_by(filename="again.pdf"))
        assert session.get(Document, id_).filename != "again.pdf"
    assert copied == content


def test_a_copy_takes_the_file_along(site, controls):
    with site.session() as session:
        id_, content = session.execute(sa.select(Document.id, Document.content)).first()
    url = f"{site.url(Document, 'edit')}?id={id_}"
    sent = controls(site.client.get(url).text) | {"filename": ["copy.pdf"], "_save_as_new": ["1"]}
    response = site.client.post(url, data=sent)
    assert response.status_code == 302, response.text
    with site.session() as session:
        copied = session.scalar(sa.select(Document.content).filter_by(filename="copy.pdf"))
    assert copied == content


@pytest.mark.parametrize(
    "arguments", ["customer=999999", "customer=x", "freight=%00", "tags=1", "nothing=1", "number="]
)
def test_a_prefilled_value_that_means_nothing_is_no_error(site, arguments):
    assert site.client.get(f"{site.url(Order, 'create')}?{arguments}").status_code == 200


def test_a_prefilled_form_is_saved_as_it_was_shown(site, controls):
    url = site.url(Tag, "create") + "?name=from+the+url"
    sent = controls(site.client.get(url).text)
    assert site.client.post(url, data=sent).status_code == 302
    with site.session() as session:
        assert session.scalar(sa.select(Tag).filter_by(name="from the url")) is not None


class Narrowed(ModelView):
    """Forms on which queries of the host leave nothing to choose."""

    form_columns = ("name", "category", "tags")
    form_args = {name: {"query_factory": list} for name in ("category", "tags")}


@pytest.mark.filterwarnings("ignore:Yielding raw tuples")
def test_a_query_of_the_host_that_lacks_the_rows_that_were_chosen_takes_none_away(
    fleet_url, controls
):
    site = Site(fleet_url).register_all(views={Product: Narrowed})
    with site.session() as session:
        has_all = Product.tags.any() & Product.category.has()
        product = session.scalars(sa.select(Product).where(has_all)).first()
        id_, category, tags = product.id, product.category_id, len(product.tags)
    url = f"{site.url(Product, 'edit')}?id={id_}"
    sent = {**controls(site.client.get(url).text), "name": "renamed"}
    assert site.client.post(url, data=sent).status_code == 302
    refused = site.client.post(url, data={"category": "-1"})
    assert (refused.status_code, "to choose (any more)" in refused.text) == (400, True)
    with site.session() as session:
        product = session.get(Product, id_)
        found = (product.name, product.category_id, len(product.tags))
    assert found == ("renamed", category, tags)


def test_all_rows_that_are_picked_for_a_new_one_are_read_together(site, statements):
    data = {"name": "picked", "products": ",".join(map(str, range(1, 11)))}
    with statements(site.engine) as seen:
        assert site.client.post(site.url(Tag, "create"), data=data).status_code == 302
    assert len([s for s in seen if "FROM products" in s]) == 1
