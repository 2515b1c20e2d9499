"""The columns of an advocacy export, and what becomes of a line: the row that the advocacy contract's API would give.

Belongs here: which columns an entity has and needs, cells as values of the contract. Does not belong here: reading
files (`table_file`, `files_folder`), whether a row keeps the contract (`advocacy_rows`, whose readers judge it).

No cell is guessed: one that cannot be what its column says is left as it is, so that the reader refuses it by name and
shape. A time without a zone is of the contract's `time_zone`, a day without a time its beginning.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time
from decimal import Decimal
from typing import Any, Final
from zoneinfo import ZoneInfo

from referral_pipeline.connectors.table_file import TableRow, is_empty, plain_name
from referral_pipeline.connectors.values import instant_text

PLACE: Final = "_place"
"""Where a row stands, "referrals.csv:12"; part of the row in raw."""
PROBLEM: Final = "_problem"
"""What is wrong with a whole file, in the row that stands for it."""

_MOST: Final = 10**15
_YES: Final = frozenset({"yes", "true", "1", "y", "ja", "oui", "si", "granted"})
_NO: Final = frozenset({"no", "false", "0", "n", "nein", "non", "withdrawn", "revoked"})


@dataclass(frozen=True)
class Column:
    """One column: how its cells are read, where the value goes ("candidate.email"), and whether a file must have it."""

    read: Callable[[Any, Cells], Any]
    goes_to: str
    needed: bool = False


@dataclass(frozen=True)
class Cells:
    """How cells are read."""

    zone: ZoneInfo
    date_formats: Sequence[str] = ()


def text(cell: Any, how: Cells) -> Any:
    """A text; whole numbers of a spreadsheet as they look."""
    del how
    if isinstance(cell, bool):
        return "true" if cell else "false"
    if _is_whole(cell):
        return str(int(cell))
    if isinstance(cell, int | float | Decimal):
        return str(cell)
    return cell.strip() if isinstance(cell, str) else cell if cell is None else str(cell)


def _is_whole(cell: Any) -> bool:
    return isinstance(cell, float | Decimal) and abs(cell) < _MOST and cell == int(cell)


def word(cell: Any, how: Cells) -> Any:
    """A word of a vocabulary, in lower case."""
    found = text(cell, how)
    return found.casefold() if isinstance(found, str) else found


def moment(cell: Any, how: Cells) -> Any:
    """A time, as RFC 3339 in UTC."""
    found = _moment(cell, how)
    return instant_text(found) if found is not None else text(cell, how)


def count(cell: Any, how: Cells) -> Any:
    """A whole number."""
    if _is_whole(cell):
        return int(cell)
    found = text(cell, how)
    return int(found) if isinstance(found, str) and found.isascii() and found.isdecimal() else found


def flag(cell: Any, how: Cells) -> Any:
    """Yes or no."""
    if isinstance(cell, bool):
        return cell
    found = word(cell, how)
    return True if found in _YES else False if found in _NO else text(cell, how)


def _moment(cell: Any, how: Cells) -> datetime | None:
    if isinstance(cell, datetime):
        return _aware(cell, how)
    if isinstance(cell, date):
        return datetime.combine(cell, time(), how.zone).astimezone(UTC)
    if not isinstance(cell, str):
        return None
    written = cell.strip()
    for form in how.date_formats:
        try:
            return _aware(datetime.strptime(written, form), how)  # noqa: DTZ007 - it is of the contract's zone
        except ValueError:
            continue
    try:
        return _aware(datetime.fromisoformat(written), how)
    except ValueError:
        return None


def _aware(found: datetime, how: Cells) -> datetime:
    try:
        return (found if found.tzinfo is not None else found.replace(tzinfo=how.zone)).astimezone(UTC)
    except (OverflowError, ValueError):
        raise ValueError("no time that can be told") from None


COLUMNS: Mapping[str, Mapping[str, Column]] = {
    "referrals": {
        "id": Column(text, "id", needed=True),
        "advocate_id": Column(text, "advocate_id", needed=True),
        "advocate_email": Column(text, "advocate_email"),
        "job_id": Column(text, "job_id", needed=True),
        "share_id": Column(text, "share_id"),
        "campaign_tag": Column(text, "campaign_tag"),
        "stage": Column(word, "stage"),
        "submitted_at": Column(moment, "submitted_at", needed=True),
        "applied_at": Column(moment, "applied_at"),
        "first_name": Column(text, "candidate.first_name"),
        "last_name": Column(text, "candidate.last_name"),
        "email": Column(text, "candidate.email"),
        "phone": Column(text, "candidate.phone"),
        "country": Column(text, "candidate.country"),
        "consent_granted": Column(flag, "consent.granted"),
        "consent_basis": Column(text, "consent.basis"),
        "consent_granted_at": Column(moment, "consent.granted_at"),
        "consent_expires_at": Column(moment, "consent.expires_at"),
        "clicks": Column(count, "engagement.clicks"),
        "shares": Column(count, "engagement.shares"),
        "reach": Column(count, "engagement.reach"),
        "updated_at": Column(moment, "updated_at"),
    },
    "advocates": {
        "id": Column(text, "id", needed=True),
        "email": Column(text, "email"),
        "department": Column(text, "department"),
        "eligible": Column(flag, "eligible"),
        "joined_at": Column(moment, "joined_at"),
        "left_at": Column(moment, "left_at"),
        "updated_at": Column(moment, "updated_at"),
    },
    "content": {
        "id": Column(text, "id", needed=True),
        "title": Column(text, "title"),
        "campaign_tag": Column(text, "campaign_tag"),
        "job_id": Column(text, "job_id"),
        "published_at": Column(moment, "published_at"),
        "updated_at": Column(moment, "updated_at"),
    },
    "shares": {
        "id": Column(text, "id", needed=True),
        "advocate_id": Column(text, "advocate_id", needed=True),
        "content_id": Column(text, "content_id"),
        "job_id": Column(text, "job_id"),
        "channel": Column(word, "channel"),
        "shared_at": Column(moment, "shared_at", needed=True),
        "reach": Column(count, "reach"),
        "updated_at": Column(moment, "updated_at"),
    },
    "clicks": {
        "id": Column(text, "id", needed=True),
        "share_id": Column(text, "share_id", needed=True),
        "visitor_id": Column(text, "visitor_id"),
        "clicked_at": Column(moment, "clicked_at", needed=True),
        "updated_at": Column(moment, "updated_at"),
    },
}
"""The columns of each entity by our names."""


_ADVOCATE: Final[Mapping[str, str]] = {"referrals": "advocate_id", "shares": "advocate_id", "advocates": "id"}
_ADDRESS: Final[Mapping[str, str]] = {"referrals": "advocate_email", "advocates": "email"}
"""Which field names an advocate, and which their address, by entity."""
_MOST_KNOWN: Final = 50_000


def _undigested(address: str) -> str:
    raise ValueError("an advocate is known by an address, and there is no key to hash it with")


@dataclass(frozen=True)
class Lines:
    """Turns the lines of one entity's files into rows.

    `names` are the plain names of their columns by ours; a name left out is ours. `digest` is the keyed hash of an
    address that stands in the place of an advocate's id.
    """

    entity: str
    cells: Cells
    names: Mapping[str, str] = field(default_factory=dict[str, str])
    consent_basis: str | None = None
    digest: Callable[[str], str] = _undigested

    def column(self, name: str) -> str:
        """The plain name of the column of one of our fields."""
        return plain_name(self.names.get(name, name))

    def missing(self, columns: Sequence[str]) -> list[str]:
        """Our fields that are needed, or that the contract names a column for, and for which a header has none."""
        wanted = {name: one.needed or name in self.names for name, one in COLUMNS[self.entity].items()}
        return [name for name, is_wanted in wanted.items() if is_wanted and self.column(name) not in columns]

    def unknown(self, columns: Sequence[str]) -> list[str]:
        """Columns that nothing is read from."""
        known = {self.column(name) for name in COLUMNS[self.entity]}
        return [name for name in columns if name not in known]

    def reader(
        self, columns: Sequence[str], *, name: str, version_at: datetime
    ) -> Callable[[TableRow], dict[str, Any]]:
        """Turns a line of one file into the row that the advocacy contract's API would give.

        What is the same for all lines is found out once: a file may have a hundred thousand of them.

        Args:
            columns: the plain names of the file's header.
            name: the file's name.
            version_at: when the file was written: the row's change, where no column says it.
        """
        there = set(columns)
        plan = [
            (plain, _remembering(column.read, self.cells), *column.goes_to.rpartition(".")[::2])
            for ours, column in COLUMNS[self.entity].items()
            if (plain := self.column(ours)) in there
        ]
        written = instant_text(version_at)
        declares = self.entity == "referrals" and self.declares_consent(columns)
        has_stage = self.column("stage") in there

        def row(line: TableRow) -> dict[str, Any]:
            found: dict[str, Any] = {PLACE: f"{name}:{line.line}"}
            cells = line.cells
            for plain, read, inner, last in plan:
                cell = cells.get(plain)
                if is_empty(cell) or cell != cell:  # not a number: how a data frame writes nothing
                    continue
                holder: dict[str, Any] = found.setdefault(inner, {}) if inner else found
                holder[last] = read(cell)
            found.setdefault("updated_at", written)
            self._hide_addresses(found)
            if self.entity == "advocates":
                found.setdefault("eligible", True)
            if self.entity == "referrals":
                self._complete(found, has_stage=has_stage, declares=declares)
            return found

        return row

    def _hide_addresses(self, row: dict[str, Any]) -> None:
        """Where a platform knows advocates by their e-mail address alone, that is no id to be shown everywhere."""
        field = _ADVOCATE.get(self.entity)
        named = row.get(field) if field is not None else None
        if field is None or not isinstance(named, str) or "@" not in named:
            return
        address = _ADDRESS.get(self.entity)
        if address is not None:
            row.setdefault(address, named)
        row[field] = f"mail-{self.digest(named.strip().casefold())}"

    def declares_consent(self, columns: Sequence[str]) -> bool:
        """Whether nothing in a file tells of consent, so that the contract's basis stands for it."""
        if self.consent_basis is None or any(name.startswith("consent") for name in self.names):
            return False
        # Whatever begins like it may be an answer, and an answer is never written over by a basis.
        return not any(name.startswith(("consent", "opt_in", "optin", "gdpr")) for name in columns)

    def _complete(self, row: dict[str, Any], *, has_stage: bool, declares: bool) -> None:
        """What an export of referrals alone leaves out."""
        if not has_stage:
            row["stage"] = "applied"
        if row.get("stage") == "applied":
            row.setdefault("applied_at", row.get("submitted_at"))
        consent = row.get("consent")
        if consent is not None and "granted" not in consent:
            del row["consent"]  # a basis or a date alone says nothing of a consent
        if declares:
            row["consent"] = {"granted": True, "basis": self.consent_basis, "granted_at": row.get("submitted_at")}


def _remembering(read: Callable[[Any, Cells], Any], how: Cells) -> Callable[[Any], Any]:
    """A cell as `read` reads it, or as it is where it cannot be; of texts, which repeat, each once."""
    known: dict[str, Any] = {}

    def one(cell: Any) -> Any:
        if isinstance(cell, bytes):
            cell = cell.decode("utf-8", "replace")  # a Parquet file need not say that its bytes are text
        if not isinstance(cell, str):
            return _read(read, cell, how)
        if cell not in known:
            if len(known) >= _MOST_KNOWN:
                known.clear()
            known[cell] = _read(read, cell, how)
        return known[cell]

    return one


def _read(read: Callable[[Any, Cells], Any], cell: Any, how: Cells) -> Any:
    try:
        return read(cell, how)
    except (ValueError, OverflowError):
        return text(cell, how)
