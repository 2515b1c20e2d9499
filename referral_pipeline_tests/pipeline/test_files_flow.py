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
from referral_pipeline.orchestration.assets.reconciliation import _pulled
from referral_pipeline.orchestration.bridge import Bridge
from referral_pipeline.sandbox.launch import Sandbox
from referral_pipeline.sync.reconciliation import enter, missed
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


BAD = {
    "referrals": {"id": "", "advocate_id": "A1", "job_id": "1"},
    "advocates": {"id": "adv_bad", "eligible": "perhaps"},
    "shares": {"id": "shr_bad", "advocate_id": "A1", "shared_at": "soon"},
}
"""A row of each kind that cannot be read."""


def exported(folder: Path, programme: Mapping[str, Sequence[Mapping[str, Any]]], broken: str) -> dict[str, str]:
    """The programme's rows: referrals as CSV, advocates and content as workbooks, shares and clicks as Parquet.

    One referral has no time that can be read, and three kinds of files have a bad row more. Answers where these stand,
    each with its field.
    """
    folder.mkdir(parents=True)
    bad: dict[str, str] = {}
    for entity in ("referrals", "advocates", "content", "shares", "clicks"):
        rows = [flat(row) for row in programme[entity]]
        suffix = {"referrals": "csv", "shares": "parquet", "clicks": "parquet"}.get(entity, "xlsx")
        if entity == "referrals":
            line = next(i for i, row in enumerate(rows) if row["id"] == broken)
            rows[line] = {**rows[line], "submitted_at": "02/11/26"}
            bad[f"referrals export.csv:{line + 2}"] = "submitted_at"
        if entity in BAD:
            rows.append(BAD[entity])
            field = {"referrals": "id", "advocates": "eligible", "shares": "shared_at"}[entity]
            bad[f"{entity} export.{suffix}:{len(rows) + 1}"] = field
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
    return bad


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


def credit(rows: Sequence[Mapping[str, Any]], without: str = "") -> list[tuple[Any, ...]]:
    return sorted(
        (r["advocate_id"], str(r["share_id"]), r["weight"], r["bonus_cents"])
        for r in rows
        if r["application_key"] != without
    )


def found_by_looking(installation: Installation) -> set[str | None]:
    """Pull, and put what no webhook told before the lane; of what."""
    with Bridge.open(installation.settings) as bridge:
        bridge.pull_advocacy(full=False)
        bridge.pull_ats(full=False)
        now = datetime.now(UTC)
        found = missed(
            _pulled(bridge, now),
            ledger=bridge.ledger,
            ats=bridge.ats,
            contract=bridge.contract,
            hash_key=bridge.settings.secret("REFERRAL_PIPELINE_HASH_KEY"),
            now=now,
        )
        enter(found, ledger=bridge.ledger, systems=[bridge.advocacy.system, bridge.ats.system])
        return {delivery.subject for delivery in found}


def test_a_programme_of_files_has_the_attribution_of_the_api_but_for_the_bad_rows(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    begun_at = datetime.now(UTC)
    with Sandbox(size=TINY) as sandbox:
        over_api = installed(tmp_path / "api", sandbox, monkeypatch).level(full=True)
    with Sandbox(size=TINY) as sandbox:
        installation = by_files(tmp_path / "files", sandbox, monkeypatch)
        programme = installation.dump("advocacy")
        made = next(
            row for row in over_api.attribution if row["channel"] == "advocacy" and row["applied_at"] > begun_at
        )
        broken, drops = made["referral_id"], installation.home / "data" / "drops"
        bad = exported(drops, programme, broken)
        over_files = installation.level(full=True)
        others = [row for row in over_api.attribution if row["referral_id"] != broken]
        assert attribution(over_files.attribution, begun_at) == attribution(others, begun_at)
        assert credit(over_files.credit) == credit(over_api.credit, without=made["application_key"])
        told_of = {row["record_id"]: row["field"] for row in over_files.quarantine if row["system"] == "files"}
        assert {place: told_of.get(place) for place in bad} == bad
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
        # Mended and dropped a moment ago, seen by a look, and taken away before the lane comes to it.
        (row,) = [flat(one) for one in programme["referrals"] if one["id"] == broken]
        path = drops / "referrals mended.csv"
        with path.open("w", newline="", encoding="utf-8") as sheet:
            writer = csv.DictWriter(sheet, list(row))
            writer.writeheader()
            writer.writerow({**row, "updated_at": datetime.now(UTC).isoformat()})
        os.utime(path, (path.stat().st_mtime - 10, path.stat().st_mtime - 10))
        before = {one["id"] for one in installation.dump("greenhouse")["applications"]}
        assert f"referral:{broken}" in found_by_looking(installation)
        path.unlink()
        (drops / "referrals export.csv").unlink()
        with Bridge.open(installation.settings) as bridge:
            bridge.drain_inbox()
            created = {one["id"] for one in installation.dump("greenhouse")["applications"]} - before
            assert [bridge.ledger.link(broken).application_id] == [str(one) for one in created]
