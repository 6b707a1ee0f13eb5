"""What a visitor chooses about a list: its columns, and how dense its rows are."""

from __future__ import annotations

from typing import Any

from examples.fleet.models import Order

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
