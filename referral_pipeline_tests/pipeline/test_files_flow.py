"""A programme that comes as files: the same attribution as over the API, and the way back in the outbox."""

from __future__ import annotations

import csv
import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import openpyxl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from click.testing import CliRunner

from referral_pipeline.cli import main
from referral_pipeline.contract.scaffold import LOCAL_SANDBOX, integration_yaml
from referral_pipeline.sandbox.launch import Sandbox
from referral_pipeline_tests.pipeline.conftest import Installation, installed
from referral_pipeline_tests.pipeline.event_rig import TINY

_INNER = {"candidate": "", "consent": "consent_", "engagement": ""}
_LONG_AGO = 1_760_000_000


def flat(row: Mapping[str, Any]) -> dict[str, Any]:
    """A row of the API as an export has it; what was told of it is not exported."""
    cells: dict[str, Any] = {}
    for name, value in row.items():
        if name in _INNER:
            cells |= {f"{_INNER[name]}{inner}": v for inner, v in (value or {}).items()}
        elif name not in {"status", "status_at", "ats", "hired_at", "starts_on"}:
            cells[name] = value
    return cells


def exported(folder: Path, programme: Mapping[str, Sequence[Mapping[str, Any]]]) -> None:
    """The programme's rows: referrals as CSV, advocates and content as workbooks, shares and clicks as Parquet."""
    folder.mkdir(parents=True)
    for entity in ("referrals", "advocates", "content", "shares", "clicks"):
        rows = [flat(row) for row in programme[entity]]
        columns = list(dict.fromkeys(name for row in rows for name in row))
        path = folder / f"{entity} export"
        if entity == "referrals":
            with path.with_suffix(".csv").open("w", newline="", encoding="utf-8") as sheet:
                writer = csv.DictWriter(sheet, columns)
                writer.writeheader()
                writer.writerows(rows)
        elif entity in {"shares", "clicks"}:
            pq.write_table(pa.Table.from_pylist(rows), path.with_suffix(".parquet"))
        else:
            book = openpyxl.Workbook()
            sheet = book.active
            assert sheet is not None
            for line in (columns, *([row.get(name) for name in columns] for row in rows)):
                sheet.append(line)
            book.save(path.with_suffix(".xlsx"))
    for path in folder.iterdir():
        os.utime(path, (_LONG_AGO, _LONG_AGO))


def by_files(home: Path, sandbox: Sandbox, patch: pytest.MonkeyPatch, **changes: str) -> Installation:
    made = installed(home, sandbox, patch)
    text = integration_yaml(replace(LOCAL_SANDBOX, advocacy="files"))
    path = home / "data" / "integration.yaml"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")
    return made


_IDS = {"person_id", "match_method", "application_key", "ats_application_id", "ats_candidate_id", "status_at"}


def attribution(rows: Sequence[Mapping[str, Any]], begun_at: datetime) -> list[dict[str, Any]]:
    """What is the same over both ways: all but ids, and the moments at which things happened during the two runs."""
    found: list[dict[str, Any]] = []
    for row in rows:
        key = row["application_key"] if row["applied_at"] < begun_at else ""
        shown = {name: None if value != value else value for name, value in row.items() if name not in _IDS}
        for name, value in shown.items():
            if isinstance(value, datetime) and value.tzinfo is not None and value >= begun_at:
                shown[name] = "now"
        found.append({**shown, "key": key})
    return sorted(found, key=lambda row: (str(row["referral_id"]), str(row["applied_at"]), row["key"]))


def credit(rows: Sequence[Mapping[str, Any]]) -> list[tuple[Any, ...]]:
    return sorted((r["advocate_id"], str(r["share_id"]), r["weight"], r["bonus_cents"]) for r in rows)


def test_a_programme_of_files_has_the_attribution_of_the_api(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    begun_at = datetime.now(UTC)
    with Sandbox(size=TINY) as sandbox:
        over_api = installed(tmp_path / "api", sandbox, monkeypatch).level(full=True)
    with Sandbox(size=TINY) as sandbox:
        installation = by_files(tmp_path / "files", sandbox, monkeypatch)
        programme = installation.dump("advocacy")
        exported(installation.home / "data" / "drops", programme)
        over_files = installation.level(full=True)
        assert attribution(over_files.attribution, begun_at) == attribution(over_api.attribution, begun_at)
        assert credit(over_files.credit) == credit(over_api.credit)
        again = installation.level()
        assert again.candidates.counts.get("candidates_created", 0) == 0
        assert again.statuses.counts.get("statuses_sent", 0) == 0
        with (installation.home / "data" / "outbox" / "statuses.csv").open(encoding="utf-8") as sheet:
            told = {row["referral_id"]: row["status"] for row in csv.DictReader(sheet)}
        linked = [row for row in over_files.attribution if row["channel"] == "advocacy"]
        assert {told[row["referral_id"]] for row in linked} >= {row["status"] for row in linked}
        # The platform itself was never called.
        assert {row["id"]: row.get("status") for row in installation.dump("advocacy")["referrals"]} == {
            row["id"]: row.get("status") for row in programme["referrals"]
        }
        health = json.loads(CliRunner().invoke(main, ["health", "--all", "--json"]).stdout)
        judged = {(row["measure"], row["system"]) for row in health["rows"]}
        assert ("reconciliation_finds", "greenhouse") in judged
        # All that files bring is found by looking: that is no sign of lost webhooks.
        assert not judged & {("reconciliation_finds", "files"), ("webhook_success", "files")}
