"""What the pages of a list are handed."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from markupsafe import Markup, escape

from admin_app.contexts.parts import Link, ReasonField
from admin_app.markup import escaped, late, safe
from admin_app.pages import Crumb


@dataclass(frozen=True, slots=True)
class Column:
    """The heading of a list column; ``css`` is the class of its cells, too."""

    key: str
    label: str
    css: str = ""
    sort_url: str | None = None
    sort: str | None = None
    """``asc`` or ``desc`` when the list is ordered by it."""
    description: str | None = None
    width: int | None = None
    """In pixels, where the visitor set one."""
    sort_add_url: str | None = None
    """The list ordered by this, too, or with this key of its order turned round."""
    sort_place: int | None = None
    """Which key of the order this is, from 1, when there are several."""
    is_slow: bool = False
    """Whether no index gives this order, on a table so large that it tells."""


@dataclass(frozen=True, slots=True)
class TotalsRow:
    """A row of a list that no table holds: ``label`` over ``span`` columns, then whole cells."""

    label: Markup
    span: int
    cells: list[Markup]


@dataclass(frozen=True, slots=True)
class Row:
    """A row of a list; ``cells`` are whole ``<td>`` elements."""

    id: str | None
    label: str
    cells: list[Markup]
    edit_url: str | None = None
    details_url: str | None = None
    delete_url: str | None = None
    actions: Markup = Markup()
    instance: Any = None
    heading: TotalsRow | None = None
    """The group that begins with this row, where the list is grouped."""
    is_chosen: bool = False
    """Whether it is ticked to begin with, as one of all that match."""

    @property
    def html(self) -> Markup:
        """All cells, joined when the template prints them: some are drawn only then."""
        return late(self.drawn)

    def drawn(self) -> Markup:
        """All cells, now."""
        return safe("".join([c if type(c) is Markup else escape(c) for c in self.cells]))

    @property
    def signs(self) -> Markup:
        """The links to the pages of the row, which are drawn so often that it tells."""
        label = escaped(self.label)
        found = []
        if self.details_url:
            found += ['<a class="sign view" href="', escaped(self.details_url)]
            found += ['" title="View" aria-label="View ', label, '"></a>']
        if self.edit_url:
            found += ['<a class="sign edit" href="', escaped(self.edit_url)]
            found += ['" title="Edit" aria-label="Edit ', label, '"></a>']
        if self.delete_url:
            found += ['<a class="sign delete danger" href="', escaped(self.delete_url)]
            found += ['" title="Delete…" aria-label="Delete ', label, '…"></a>']
        return safe("".join(found))

    @property
    def tick(self) -> Markup:
        """The box that ticks the row; empty for a row that has no key."""
        if self.id is None:
            return Markup()
        parts = ('<label><input type="checkbox" name="rowid" value="', escaped(self.id))
        label = ('" form="action-form" aria-label="Tick ', escaped(self.label))
        # What is unticked on this page is told by what was on it.
        end = (
            '" checked><input type="hidden" name="shown" form="action-form" value="',
            escaped(self.id),
        )
        return safe("".join((*parts, *label, *(end if self.is_chosen else ()), '"></label>')))


@dataclass(frozen=True, slots=True)
class PageLink:
    """The number of a page; without ``url`` it stands for those that are left out."""

    text: str
    url: str | None = None
    is_current: bool = False


@dataclass(frozen=True, slots=True)
class Jump:
    """The form that leads to the rows from a value on: the argument ``at``.

    ``label`` is what the list is ordered by; with ``options`` (value and words) it is a choice.
    """

    label: str
    hidden: list[tuple[str, str]]
    type: str = "text"
    is_number: bool = False
    value: str = ""
    options: list[tuple[str, str]] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Pager:
    """The way to the pages around this one; ``pages`` where they are numbered."""

    text: str = ""
    first_url: str | None = None
    previous_url: str | None = None
    next_url: str | None = None
    last_url: str | None = None
    pages: list[PageLink] = field(default_factory=list)
    jump: Jump | None = None


@dataclass(frozen=True, slots=True)
class OrderKey:
    """One key of the present order; ``nulls_urls`` lead to rows without a value first or last."""

    label: str
    descending: bool
    turn_url: str
    remove_url: str
    nulls: str | None = None
    nulls_urls: list[tuple[str, str]] = field(default_factory=list)
    is_slow: bool = False


@dataclass(frozen=True, slots=True)
class OrderChoice:
    """A column that may be added to the order."""

    label: str
    url: str
    is_slow: bool = False


@dataclass(frozen=True, slots=True)
class OrderMenu:
    """``admin/model/_order.html``: what the list is ordered by, in order, and what may follow."""

    keys: list[OrderKey]
    more: list[OrderChoice]


@dataclass(frozen=True, slots=True)
class PageSize:
    size: int
    url: str
    is_current: bool = False


@dataclass(frozen=True, slots=True)
class Search:
    """The search box; ``hidden`` are the arguments that its form keeps."""

    is_supported: bool
    text: str = ""
    placeholder: str = ""
    clear_url: str = ""
    hidden: list[tuple[str, str]] = field(default_factory=list)
    help: str = ""
    note: str = ""
    """What it had to do for want of an index."""


@dataclass(frozen=True, slots=True)
class Chip:
    """An active filter in words, and the URL without it."""

    text: str
    value: str
    remove_url: str


@dataclass(frozen=True, slots=True)
class FilterChoice:
    """One operator of a filter: the URL argument it sets, its words, perhaps its options."""

    arg: str
    operation: str
    options: list[Any] | None = None
    type: str | None = None


@dataclass(frozen=True, slots=True)
class FilterGroup:
    label: str
    choices: list[FilterChoice]


@dataclass(frozen=True, slots=True)
class FilterOption:
    """A column, an operator or a value that can be chosen in the form of filters."""

    value: str
    text: str
    is_chosen: bool = False


@dataclass(frozen=True, slots=True)
class FilterLine:
    """A condition in the form of filters; ``place`` is the beginning of its fields' names.

    ``control`` is what a value is entered with: an input's type, ``choice`` (boxes), ``row`` (a
    picker, which has ``lookup_url`` and the rows ``chosen`` as JSON) or ``none``. ``error`` says
    what is wrong with it.
    """

    place: str
    do: str
    column: str
    columns: Markup
    operators: list[FilterOption]
    control: str
    values: list[str]
    choices: list[FilterOption] = field(default_factory=list)
    periods: bool = False
    is_range: bool = False
    can_have_more: bool = False
    lookup_url: str | None = None
    chosen: str = ""


@dataclass(frozen=True, slots=True)
class FilterBox:
    """A group of conditions in the form of filters, or, with ``kept``, one that it cannot show."""

    place: str
    do: str
    kinds: list[FilterOption]
    lines: list[FilterLine]
    text: str = ""
    kept: str | None = None


@dataclass(frozen=True, slots=True)
class FiltersPage:
    """``admin/model/filters.html``: the form of a list's filters.

    ``items`` are its lines and groups; ``preview`` is what they say, in a sentence.
    """

    title: str
    breadcrumbs: list[Crumb]
    action_url: str
    hidden: list[tuple[str, str]]
    kinds: list[FilterOption]
    items: list[FilterLine | FilterBox]
    periods: list[str]
    preview: str
    cancel_url: str
    clear_url: str | None = None
    errors: list[str] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class BulkAction:
    """An action over the ticked rows; ``confirmation`` is the question asked first, if any."""

    name: str
    text: str
    confirmation: str | None = None


@dataclass(frozen=True, slots=True)
class Bulk:
    """How rows of a list are chosen for an action: ticked, or all that match.

    ``key`` tells a script which ticks belong to this list. With ``is_across`` all rows that match
    are chosen, but for those that are unticked.
    """

    key: str
    is_across: bool = False
    count: int | None = None
    """How many rows match, where that is known exactly."""
    text: str = ""
    """All rows that match, in words."""
    across_url: str | None = None
    """The list with all that match chosen; None where these are all on the page."""
    clear_url: str | None = None
    """The list with none chosen."""
    hidden: list[tuple[str, str]] = field(default_factory=list)
    is_used: bool = False
    """Whether the ticks that a script has kept were used, and are to be forgotten."""


@dataclass(frozen=True, slots=True)
class MenuEntry:
    """A line of a menu; ``is_current`` marks what is so already."""

    text: str
    url: str
    is_current: bool = False


@dataclass(frozen=True, slots=True)
class MenuGroup:
    """Lines of a menu under a heading, or without one."""

    title: str | None
    entries: list[MenuEntry]


@dataclass(frozen=True, slots=True)
class ColumnChoice:
    """A column that may be shown; ``place`` counts from 1, None for one that is not shown."""

    name: str
    label: str
    place: int | None = None
    width: int | None = None
    total: str = ""
    """What stands under it: ``sum``, ``avg``, ``min``, ``max``, or nothing."""
    totals: list[tuple[str, str]] = field(default_factory=list)
    """What may stand under it, each with its words."""


@dataclass(frozen=True, slots=True)
class ColumnBranch:
    """The columns that may be added, of this class or of one that it leads to."""

    label: str
    choices: list[ColumnChoice]
    branches: list[ColumnBranch] = field(default_factory=list)


@dataclass(slots=True)
class ColumnsPage:
    """``admin/model/columns.html``: the choice of a list's columns."""

    title: str
    breadcrumbs: list[Crumb]
    action_url: str
    hidden: list[tuple[str, str]]
    shown: list[ColumnChoice]
    more: ColumnBranch
    groups: list[tuple[str, str, bool]]
    """What the rows may be grouped by: name, label, whether they are."""
    usual_url: str
    cancel_url: str


@dataclass(slots=True)
class ExportPage:
    """``admin/model/export.html``: the choice of a file."""

    title: str
    sentence: str
    """Which rows it will have."""
    breadcrumbs: list[Crumb]
    action_url: str
    method: str
    """``post`` where an address could not name all rows."""
    hidden: list[tuple[str, str]]
    formats: list[tuple[str, str]]
    """Pairs of type and title; the first is chosen."""
    shown: list[ColumnChoice]
    more: ColumnBranch
    can_have_every: bool
    has_content: bool
    """Whether some column holds binary content."""
    zone: str
    zones: list[str]
    submit_text: str
    cancel_url: str


@dataclass(frozen=True, slots=True)
class ViewTab:
    """A tab over a list: a saved view, or the list without one."""

    text: str
    url: str
    is_current: bool = False
    is_shared: bool = False
    is_own: bool = True
    is_edited: bool = False
    """Whether the list shows something else by now than the view keeps."""


@dataclass(frozen=True, slots=True)
class Views:
    """The saved views of a list: their tabs, and what can be done to the current one."""

    tabs: list[ViewTab]
    query: str
    """What the list shows now, as a view would keep it."""
    action_url: str
    save_url: str
    current_id: int | None = None
    name: str | None = None
    is_own: bool = False
    is_shared: bool = False
    is_default: bool = False
    is_edited: bool = False
    can_share: bool = False
    can_move: bool = False


@dataclass(frozen=True, slots=True)
class SheetForm:
    """The form around a list whose cells are fields; ``errors`` as in `FormPage`.

    What is wrong with a row as a whole has no id of a control.
    """

    action_url: str
    cancel_url: str
    scripts: list[str]
    is_refused: bool = False
    """Whether it was sent, and nothing of it was saved."""
    errors: list[tuple[str | None, str, str]] = field(default_factory=list)
    reason: ReasonField | None = None


@dataclass(frozen=True, slots=True)
class FacetValue:
    """A value of a facet; ``text`` is short where it stands under a bar, ``words`` never are.

    ``part`` is how long its bar is, in hundredths of the longest. ``url`` is the list with the
    value chosen, or no longer so; None where no row has it.
    """

    text: str
    words: str
    count_text: str
    url: str | None
    is_selected: bool = False
    part: int = 0


@dataclass(frozen=True, slots=True)
class FacetBox:
    """One facet; with ``is_times`` its values are the bars of a histogram.

    ``trail`` leads back from a month to its year, and from there to all times. ``note`` is what
    is said in place of numbers.
    """

    name: str
    title: str
    values: list[FacetValue]
    is_times: bool = False
    trail: list[Link] = field(default_factory=list)
    more_url: str | None = None
    is_long: bool = False
    note: str | None = None


@dataclass(frozen=True, slots=True)
class FacetPanel:
    """``admin/model/_facets.html``: the facets of a list, ``title`` being the list's."""

    boxes: list[FacetBox]
    title: str
    empty_message: str = ""
    """What stands there without boxes."""


@dataclass(slots=True)
class ListPage:
    """``admin/model/list.html``"""

    title: str
    singular: str
    breadcrumbs: list[Crumb]
    columns: list[Column]
    rows: list[Row]
    count_text: str
    pager: Pager
    search: Search
    action_url: str
    return_url: str
    note: str | None = None
    description: str | None = None
    is_narrowed: bool = False
    empty_message: str = ""
    page_sizes: list[PageSize] = field(default_factory=list)
    chips: list[Chip] = field(default_factory=list)
    filters: list[FilterGroup] = field(default_factory=list)
    filters_url: str | None = None
    """Where filters are made; None where the list takes none."""
    clear_filters_url: str | None = None
    """The list without any filter, where it has some."""
    actions: list[BulkAction] = field(default_factory=list)
    bulk: Bulk | None = None
    """How rows are chosen, where there is an action for them; also where a row alone has some."""
    create_url: str | None = None
    export_urls: list[tuple[str, str]] = field(default_factory=list)
    export_page_url: str | None = None
    """Where a file is chosen; None for whom none is made."""
    density: str = "roomy"
    """Or ``compact``, as the visitor chose."""
    texts: str = "cut"
    """Whether long texts are ``cut`` to a line or ``wrapped``."""
    columns_url: str | None = None
    """Where the columns are chosen."""
    footer: TotalsRow | None = None
    """The totals of the whole list, where some are asked for."""
    more: list[MenuGroup] = field(default_factory=list)
    """The menu «More»."""
    order: OrderMenu | None = None
    """The menu «Order»; None where the list has no order to choose."""
    count_url: str | None = None
    """The list with its exact count, where ``count_text`` is not exact."""
    all_url: str | None = None
    """The list without search and filters, where these leave rows out."""
    is_view_only: bool = False
    """Whether the visitor may look at the rows and do nothing to them."""
    facets: FacetPanel | None = None
    """The facets beside the list, when they are asked for."""
    facets_url: str | None = None
    """The list with its facets, or, where they are there, without."""
    facets_script_url: str | None = None
    """Where a script fetches the facets."""
    has_editable: bool = False
    """Whether some cells lead to a field of their own."""
    sheet: SheetForm | None = None
    """There when the editable cells are fields of one form."""
    sheet_url: str | None = None
    """Where they are, when the page can be shown so."""
    views: Views | None = None
    """The saved views of the list, where such can be kept."""

    @property
    def is_empty(self) -> bool:
        return not self.rows

    @property
    def has_links(self) -> bool:
        """Whether there is a last column, of what leads to each row."""
        return any(r.edit_url or r.details_url or r.delete_url or r.actions for r in self.rows)

    @property
    def body(self) -> Markup:
        """The rows as the blocks of the template draw them, at a fraction of what these cost."""
        return late(self._body)

    def _body(self) -> Markup:
        has_links = self.has_links
        parts: list[str] = []
        for row in self.rows:
            if row.heading is not None:
                parts += self._heading(row.heading)
            parts.append("<tr>")
            if self.actions:
                parts += ['<td class="check">', row.tick, "</td>"]
            parts.append(row.drawn())
            if has_links:
                parts += ['<td class="do"><span>', escape(row.actions), row.signs, "</span></td>"]
            parts.append("</tr>\n")
        return safe("".join(parts))

    def _heading(self, heading: TotalsRow) -> list[str]:
        span = heading.span + bool(self.actions)
        head = f'<tr class="group-head"><th scope="rowgroup" colspan="{span}"><span>'
        end = "<td></td></tr>\n" if self.has_links else "</tr>\n"
        return [head, escape(heading.label), "</span></th>", *heading.cells, end]
