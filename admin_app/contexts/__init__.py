"""What each page of a model hands to its template, one dataclass a page.

The fields are the contract of whoever overrides a template. URLs are ready to be printed; text
is escaped by the template, and what is Markup has been already.
"""

from admin_app.contexts.changes import Activity as Activity
from admin_app.contexts.changes import ChangedTable as ChangedTable
from admin_app.contexts.changes import ChangedValue as ChangedValue
from admin_app.contexts.changes import ChangeSetPage as ChangeSetPage
from admin_app.contexts.changes import ConfirmPage as ConfirmPage
from admin_app.contexts.changes import HistoryEntry as HistoryEntry
from admin_app.contexts.changes import HistoryRow as HistoryRow
from admin_app.contexts.changes import Move as Move
from admin_app.contexts.changes import PlanGroup as PlanGroup
from admin_app.contexts.changes import ReviewPage as ReviewPage
from admin_app.contexts.changes import ReviewStatement as ReviewStatement
from admin_app.contexts.changes import RowHistoryPage as RowHistoryPage
from admin_app.contexts.changes import UndoPage as UndoPage
from admin_app.contexts.lists import BulkAction as BulkAction
from admin_app.contexts.lists import Chip as Chip
from admin_app.contexts.lists import Column as Column
from admin_app.contexts.lists import ColumnBranch as ColumnBranch
from admin_app.contexts.lists import ColumnChoice as ColumnChoice
from admin_app.contexts.lists import ColumnsPage as ColumnsPage
from admin_app.contexts.lists import FacetBox as FacetBox
from admin_app.contexts.lists import FacetPanel as FacetPanel
from admin_app.contexts.lists import FacetValue as FacetValue
from admin_app.contexts.lists import FilterBox as FilterBox
from admin_app.contexts.lists import FilterChoice as FilterChoice
from admin_app.contexts.lists import FilterGroup as FilterGroup
from admin_app.contexts.lists import FilterLine as FilterLine
from admin_app.contexts.lists import FilterOption as FilterOption
from admin_app.contexts.lists import FiltersPage as FiltersPage
from admin_app.contexts.lists import Jump as Jump
from admin_app.contexts.lists import ListPage as ListPage
from admin_app.contexts.lists import MenuEntry as MenuEntry
from admin_app.contexts.lists import MenuGroup as MenuGroup
from admin_app.contexts.lists import OrderChoice as OrderChoice
from admin_app.contexts.lists import OrderKey as OrderKey
from admin_app.contexts.lists import OrderMenu as OrderMenu
from admin_app.contexts.lists import PageLink as PageLink
from admin_app.contexts.lists import Pager as Pager
from admin_app.contexts.lists import PageSize as PageSize
from admin_app.contexts.lists import Row as Row
from admin_app.contexts.lists import Search as Search
from admin_app.contexts.lists import SheetForm as SheetForm
from admin_app.contexts.lists import TotalsRow as TotalsRow
from admin_app.contexts.lists import Views as Views
from admin_app.contexts.lists import ViewTab as ViewTab
from admin_app.contexts.parts import Link as Link
from admin_app.contexts.parts import ReasonField as ReasonField
from admin_app.contexts.rows import CellPage as CellPage
from admin_app.contexts.rows import Conflict as Conflict
from admin_app.contexts.rows import Detail as Detail
from admin_app.contexts.rows import DetailsGroup as DetailsGroup
from admin_app.contexts.rows import DetailsPage as DetailsPage
from admin_app.contexts.rows import FormGroup as FormGroup
from admin_app.contexts.rows import FormPage as FormPage
from admin_app.contexts.rows import Related as Related
from admin_app.contexts.rows import SavedViewPage as SavedViewPage
from admin_app.contexts.site import Choice as Choice
from admin_app.contexts.site import ChoicePage as ChoicePage
from admin_app.contexts.site import IndexPage as IndexPage
from admin_app.contexts.site import PaletteEntry as PaletteEntry
from admin_app.contexts.site import PaletteGroup as PaletteGroup
from admin_app.contexts.site import PalettePage as PalettePage
from admin_app.contexts.site import QueryPage as QueryPage
