"""A workbook as openpyxl opens it, with the texts that its cells share as far as they are there."""

from io import BytesIO

from openpyxl import Workbook
from openpyxl.reader.excel import ExcelReader
from openpyxl.styles.numbers import BUILTIN_FORMATS
from openpyxl.xml.constants import SHARED_STRINGS

from rag_app.documents.number_formats.number_format import EAST_ASIAN_FORMATS
from rag_app.documents.sheets.shared_strings import SharedStrings, read_shared_strings
from rag_app.documents.sheets.sheet_stream import SheetStream

for number, code in EAST_ASIAN_FORMATS.items():
    BUILTIN_FORMATS.setdefault(number, code)


class BookReader(ExcelReader):  # type: ignore[misc]
    """Reads the values of a workbook, not its formulas.

    Args:
        data: The whole file.
        row_by_row: Whether its sheets are only opened, for `SheetStream`.
        fonts: Whether a cell that holds its own text keeps the fonts in it.
        guessed: Whether zeros stand for what its formulas have not been calculated to.
    """

    wb: Workbook

    def __init__(self, data: bytes, *, row_by_row: bool, fonts: bool, guessed: bool) -> None:
        super().__init__(
            BytesIO(data), read_only=row_by_row, data_only=True, keep_links=False, rich_text=fonts
        )
        self.shared_strings = SharedStrings()
        self._guessed = guessed
        self.read()

    def read_strings(self) -> None:
        """Read the texts, without which openpyxl reads nothing."""
        part = self.package.find(SHARED_STRINGS)
        self.shared_strings = read_shared_strings(self.archive, part and part.PartName[1:])

    def read_worksheets(self) -> None:
        """Read the sheets, or open them."""
        if not self.read_only:
            super().read_worksheets()
            return
        for sheet, relation in self.parser.find_sheets():
            if relation.target not in self.valid_files:
                continue
            if "chartsheet" in relation.Type:
                self.read_chartsheet(sheet, relation)
                continue
            stream = SheetStream(self.wb, sheet.name, relation.target, self.shared_strings)
            stream.guessed = self._guessed
            stream.sheet_state = sheet.state
            self.wb._sheets.append(stream)
