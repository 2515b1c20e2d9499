"""A file of costs as a table.

Belongs here: the columns that it may have. Does not belong here: CSV and XLSX (table_file), what a cell means
(cost_cells), which rows are costs (costs).
"""

from __future__ import annotations

from pathlib import Path
from typing import Final

from referral_pipeline.connectors import table_file
from referral_pipeline.connectors.table_file import Table as CostTable
from referral_pipeline.connectors.table_file import TableFileError as CostFileError
from referral_pipeline.connectors.table_file import TableRow, is_empty

__all__ = ["COLUMNS", "REQUIRED", "CostFileError", "CostTable", "TableRow", "files_of", "is_empty", "read_table"]

REQUIRED: Final = ("period", "channel", "kind", "amount", "currency")
COLUMNS: Final = (*REQUIRED, "allocation_key", "note")


def read_table(name: str, content: bytes) -> CostTable:
    """The table that a file of costs holds.

    Raises:
        CostFileError: the bytes are not what the name says, or the header names a column twice.
    """
    return table_file.read_table(name, content, one="cost", columns=COLUMNS)


def files_of(place: Path) -> tuple[list[Path], list[str]]:
    """The files of costs at a path, and what stands there and is not read.

    Raises:
        CostFileError: there is nothing at that path, or no file of costs in the folder.
    """
    return table_file.files_of(place, of="costs", key="costs.files")
