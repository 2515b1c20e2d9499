"""The quarterly edition: the report as it stood when a quarter was over, kept by date.

Belongs here: which quarter an edition is of, its folder, that it is written once. Does not belong here: the report
(`leadership`), when it is made (orchestration).

An edition is put in place as a whole folder, also where it replaces one, so there is never half of one. It is of
the last quarter that is over, and tells the numbers of the day on which it was made: the applications of that quarter
are mostly young then, and it says so instead of showing a rate of them. What an edition said is not changed later; the
page of the day has the later numbers.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from referral_pipeline.contract.models import Contract
from referral_pipeline.reports.files import put_folder, put_right
from referral_pipeline.reports.leadership import FILE_NAME, WORKBOOK_NAME, html
from referral_pipeline.reports.marts import ReadsTables
from referral_pipeline.reports.page import read_page
from referral_pipeline.reports.periods import Quarter
from referral_pipeline.reports.workbook import workbook

FOLDER = "editions"
MANIFEST = "manifest.json"


@dataclass(frozen=True)
class Edition:
    """A kept edition. `is_new` is false when it was there before and was left as it is."""

    quarter: Quarter
    folder: Path
    is_new: bool

    @property
    def html(self) -> Path:
        """Its page."""
        return self.folder / FILE_NAME

    @property
    def xlsx(self) -> Path:
        """Its workbook."""
        return self.folder / WORKBOOK_NAME


def restore_editions(published_dir: Path) -> None:
    """Put back an edition that somebody was killed in replacing: the next one may be a quarter away."""
    put_right(published_dir / FOLDER)


def write_quarterly_edition(
    warehouse: ReadsTables,
    contract: Contract,
    published_dir: Path,
    *,
    as_of: datetime,
    now: datetime | None = None,
    force: bool = False,
) -> Edition:
    """Keep the edition of the last quarter that is over in `published_dir/editions/<year>-Q<n>/`.

    Args:
        warehouse: whose marts are read.
        contract: as for the page of the day.
        published_dir: made when it does not exist.
        as_of: the moment the numbers are for, aware; decides the quarter.
        now: when it is written, for the manifest; by default the present moment.
        force: put a new one in the place of the one that is there, as a whole.
    """
    quarter = Quarter.last_over(as_of)
    folder = published_dir / FOLDER / quarter.code
    if folder.exists() and not force:
        return Edition(quarter, folder, is_new=False)
    page = read_page(warehouse, contract, as_of=as_of, edition=quarter)
    files = {FILE_NAME: html(page), WORKBOOK_NAME: workbook(page)}
    files[MANIFEST] = _manifest(quarter, files, as_of=as_of, now=now or datetime.now(UTC))
    # Another process may have been quicker: its edition then stands.
    return Edition(quarter, folder, is_new=put_folder(folder, files, replace=force))


def _manifest(quarter: Quarter, files: dict[str, bytes], *, as_of: datetime, now: datetime) -> bytes:
    listed = [
        {"file": name, "bytes": len(content), "sha256": hashlib.sha256(content).hexdigest()}
        for name, content in files.items()
    ]
    told = {"quarter": quarter.code, "as_of": _stamp(as_of), "written_at": _stamp(now), "files": listed}
    return (json.dumps(told, indent=2) + "\n").encode()


def _stamp(moment: datetime) -> str:
    return moment.astimezone(UTC).isoformat(timespec="seconds").replace("+00:00", "Z")
