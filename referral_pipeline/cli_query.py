"""The command `query`: SQL against the published copy, while a run may be writing.

Belongs here: arguments and drawing. Does not belong here: running the statement and the text of values
(warehouse.query), opening the copy (warehouse.store).
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from referral_pipeline.escapes import as_json as json_text
from referral_pipeline.escapes import visible

if TYPE_CHECKING:
    from referral_pipeline.warehouse.query import Asked, TableInfo
    from referral_pipeline.warehouse.store import Warehouse

_SHOWN = 100
_MOST_COUNTED = 100_000
"""So many rows that are not shown are counted; an answer may be endless."""
_NUMBERS = ("INT", "DECIMAL", "DOUBLE", "FLOAT", "NUMBER")


@click.command()
@click.argument("sql", required=False)
@click.option("--tables", "list_tables", is_flag=True, help="List the tables (or the one named) and their columns.")
@click.option("--csv", "as_csv", is_flag=True, help="Print CSV: null is empty, an empty text is two quotation marks.")
@click.option(
    "--exact",
    is_flag=True,
    help="CSV for programs: without the apostrophe before a text that a spreadsheet would run as a formula.",
)
@click.option(
    "--json",
    "as_json",
    is_flag=True,
    help="Print one JSON object: columns, rows, row_count (null where --limit leaves out more than are counted).",
)
@click.option(
    "--output",
    type=click.Path(dir_okay=False, path_type=Path),
    metavar="FILE.csv",
    help="Write CSV to a file, which comes into place when it is whole.",
)
@click.option(
    "--limit",
    type=click.IntRange(min=0),
    help=f"At most so many rows; 0 for all.  [default: {_SHOWN} in a table, all with --csv, --json and --output]",
)
def query(
    sql: str | None, list_tables: bool, as_csv: bool, exact: bool, as_json: bool, output: Path | None, limit: int | None
) -> None:
    """Answer SQL ("-" reads it from standard input) from what the last refresh published.

    Read-only, without files or network, and it waits for no run. Times are UTC; no table names a person.
    """
    if sum((as_csv, as_json, output is not None)) > 1:
        raise click.UsageError("choose one of --csv, --json and --output")
    if exact and not as_csv and output is None:
        raise click.UsageError("--exact goes with --csv or --output only")
    if list_tables:
        if as_csv or output is not None or limit is not None:
            raise click.UsageError("--tables goes with --json only")
        _show_tables(sql, as_json=as_json)
        return
    statement = sys.stdin.read() if sql == "-" else sql
    if not (statement or "").strip():
        raise click.UsageError("write the SQL in quotation marks, or - to read it from standard input")
    _answer(str(statement), as_csv=as_csv, exact=exact, as_json=as_json, output=output, limit=limit)


def _answer(sql: str, *, as_csv: bool, exact: bool, as_json: bool, output: Path | None, limit: int | None) -> None:
    from referral_pipeline.warehouse.query import ask

    is_table = not (as_csv or as_json or output is not None)
    most = (_SHOWN if is_table else 0) if limit is None else limit
    with _warehouse().published(locked=True) as connection:
        taken = _Taken(ask(connection, sql), most)
        if output is not None:
            _write(output, taken, exact=exact)
        elif as_csv:
            for line in _csv_lines(taken, exact=exact):
                click.echo(visible(line) if sys.stdout.isatty() else line, color=True)
        elif as_json:
            _print_json(taken)
        elif sys.stdout.isatty():
            _draw(taken)
        else:
            for line in _plain(taken.asked, list(taken.rows())):
                click.echo(line)
        left = taken.count_rest()
    if left != 0:
        many = f"more than {_MOST_COUNTED:,}" if left is None else f"{left:,}"
        click.echo(f"and {many} rows more: --limit 0 shows all, --limit N so many", err=not is_table)


def _warehouse() -> Warehouse:
    from referral_pipeline.contract.loader import load_contract
    from referral_pipeline.settings import load_settings
    from referral_pipeline.warehouse.store import Warehouse

    settings = load_settings()
    url = load_contract(settings).warehouse.url
    return Warehouse(url, home=settings.home, published_dir=settings.published_dir)


class _Taken:
    """The first rows of an answer, and how many come after them; `most` 0 takes all."""

    def __init__(self, asked: Asked, most: int) -> None:
        self.asked = asked
        self._most = most
        self._rest = 0

    def rows(self) -> Iterator[tuple[Any, ...]]:
        taken = 0
        for page in self.asked.pages:
            wanted = page if not self._most else page[: self._most - taken]
            yield from wanted
            taken += len(wanted)
            if len(wanted) < len(page) or (self._most and taken == self._most):
                self._rest = len(page) - len(wanted)
                return

    def count_rest(self) -> int | None:
        """How many rows were not taken; None when they are more than are counted."""
        while self._rest <= _MOST_COUNTED:
            page = next(self.asked.pages, None)
            if page is None:
                return self._rest
            self._rest += len(page)
        return None


# ---------------------------------------------------------------- forms


def _csv_lines(taken: _Taken, *, exact: bool) -> Iterator[str]:
    from referral_pipeline.warehouse.query import as_csv

    yield as_csv(taken.asked.columns, exact=exact)
    for row in taken.rows():
        yield as_csv(row, exact=exact)


def _write(path: Path, taken: _Taken, *, exact: bool) -> None:
    if path.suffix.lower() != ".csv":
        raise click.ClickException(f"{path.name}: only CSV is written here; name the file something.csv")
    beside = path.with_name(f".{path.name}.{os.getpid()}")
    count = -1
    try:
        with beside.open("w", encoding="utf-8", newline="") as file:
            for line in _csv_lines(taken, exact=exact):
                file.write(line + "\n")
                count += 1
        os.replace(beside, path)
    except BaseException:
        beside.unlink(missing_ok=True)
        raise
    click.echo(f"wrote {path}: {count:,} rows")


def _print_json(taken: _Taken) -> None:
    from referral_pipeline.warehouse.query import as_json_value

    rows = [[as_json_value(value) for value in row] for row in taken.rows()]
    left = taken.count_rest()
    row_count = None if left is None else len(rows) + left
    click.echo(json_text({"columns": list(taken.asked.columns), "rows": rows, "row_count": row_count}))


def _plain(asked: Asked, rows: Sequence[tuple[Any, ...]]) -> Iterator[str]:
    """Aligned columns, numbers to the right, two spaces between."""
    texts = [tuple(_cell(value) for value in row) for row in rows]
    names = tuple(_cell(name) for name in asked.columns)
    widths = [max(len(cell) for cell in cells) for cells in zip(names, *texts, strict=True)]
    right = _is_right(asked)
    for line in (names, tuple("-" * width for width in widths), *texts):
        cells = [
            cell.rjust(width) if is_right else cell.ljust(width)
            for cell, width, is_right in zip(line, widths, right, strict=True)
        ]
        yield "  ".join(cells).rstrip()


def _draw(taken: _Taken) -> None:
    """A table; where it would be wider than the terminal, each row by itself, a line a column."""
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    console = Console()
    rows = [[Text(_cell(v), style="dim" if v is None else "") for v in row] for row in taken.rows()]
    table = Table()
    for name, is_right in zip(taken.asked.columns, _is_right(taken.asked), strict=True):
        table.add_column(Text(_cell(name)), justify="right" if is_right else "left", overflow="fold")
    for row in rows:
        table.add_row(*row)
    # Rich measures no table as wider than the terminal: it would fold each column to single letters.
    widths = [max(len(name), *(row[n].cell_len for row in rows), 0) for n, name in enumerate(taken.asked.columns)]
    if sum(width + 3 for width in widths) < console.width or len(widths) == 1:
        console.print(table)
        return
    for number, row in enumerate(rows, start=1):
        one = Table(show_header=False, title=f"row {number}", title_justify="left")
        one.add_column(style="bold")
        one.add_column(overflow="fold")
        for name, cell in zip(taken.asked.columns, row, strict=True):
            one.add_row(Text(_cell(name)), cell)
        console.print(one)


def _is_right(asked: Asked) -> list[bool]:
    return [any(word in kind.upper() for word in _NUMBERS) and "[" not in kind for kind in asked.types]


def _cell(value: Any) -> str:
    """A value on one line, without anything that a terminal would take for a command."""
    from referral_pipeline.warehouse.query import as_text

    return visible(as_text(value))


# ---------------------------------------------------------------- the tables


def _show_tables(only: str | None, *, as_json: bool) -> None:
    from referral_pipeline.warehouse.query import published_tables

    with _warehouse().published(locked=True) as connection:
        found = published_tables(connection)
    shown = [info for info in found if only in (None, info.table, info.table.partition(".")[2])]
    if not shown:
        raise click.ClickException(
            f"no published table is called {only}; there are: {', '.join(i.table for i in found)}"
        )
    if as_json:
        click.echo(json.dumps({"tables": [_table_as_json(info) for info in shown]}, indent=2))
        return
    for number, info in enumerate(shown):
        if number:
            click.echo()
        click.echo(click.style(info.table, bold=True) + f"  {info.rows:,} rows  {info.about or ''}".rstrip())
        width = max(len(column.name) for column in info.columns)
        kinds = max(len(column.type) for column in info.columns)
        for column in info.columns:
            click.echo(f"  {column.name:<{width}}  {column.type:<{kinds}}  {column.about or ''}".rstrip())


def _table_as_json(info: TableInfo) -> dict[str, Any]:
    return {
        "table": info.table,
        "rows": info.rows,
        "about": info.about,
        "columns": [{"name": c.name, "type": c.type, "about": c.about} for c in info.columns],
    }
