"""Rows as files: CSV, JSON lines, JSON and XLSX, whole or not at all.

A file has the columns of the list in words without HTML, or raw: as an import reads them back. What
each column says is chosen once (`values`), the rows come in pieces from one moment of the database
(`listing.streaming`), and are written as they come (`text_files`) or, where a file is only whole at
its end, to the disk first (`workbooks`).
"""

from admin_app.exports.files import FORMATS as FORMATS
from admin_app.exports.files import Format as Format
from admin_app.exports.files import check as check
from admin_app.exports.files import disposition as disposition
from admin_app.exports.files import require as require
from admin_app.exports.files import response as response
from admin_app.exports.options import DELIMITERS as DELIMITERS
from admin_app.exports.options import Options as Options
from admin_app.exports.options import read_options as read_options
from admin_app.exports.values import Column as Column
from admin_app.exports.values import Told as Told
from admin_app.exports.values import column as column
from admin_app.exports.values import in_words as in_words
from admin_app.exports.values import reader as reader
