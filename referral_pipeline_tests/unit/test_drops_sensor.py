"""The sensor of dropped files: one run for each new state of the folder, none where the platform has an API."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import dagster as dg
import pytest

from referral_pipeline.contract.scaffold import Choices, integration_yaml
from referral_pipeline.orchestration.drops import dropped_files


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("REFERRAL_PIPELINE_HOME", str(tmp_path))
    monkeypatch.delenv("REFERRAL_PIPELINE_CONFIG", raising=False)
    (tmp_path / "data" / "drops").mkdir(parents=True)
    text = integration_yaml(Choices(advocacy="files"))
    (tmp_path / "data" / "integration.yaml").write_text(text, encoding="utf-8")
    return tmp_path


def tick(cursor: str | None = None) -> Any:
    with dg.build_sensor_context(instance=dg.DagsterInstance.ephemeral(), cursor=cursor) as context:
        return dropped_files(context)


def drop(home: Path, name: str, content: str = "id\n", *, age: int = 60) -> None:
    path = home / "data" / "drops" / name
    path.write_text(content, encoding="utf-8")
    at = path.stat().st_mtime - age
    os.utime(path, (at, at))


def test_a_drop_asks_for_one_run_and_an_edit_for_another(home: Path):
    drop(home, "referrals.csv")
    first = tick()
    (request,) = first.run_requests
    again = tick(first.cursor)
    assert not again.run_requests
    assert "nothing new" in str(again.skip_reason)
    drop(home, "referrals.csv", "id\n1\n")
    second = tick(first.cursor)
    assert second.run_requests[0].run_key != request.run_key


def test_a_copy_another_name_and_another_time_ask_for_no_run(home: Path):
    drop(home, "referrals.csv")
    first = tick()
    (home / "data" / "drops" / "referrals.csv").rename(home / "data" / "drops" / "referrals-1.csv")
    drop(home, "referrals-2.csv", age=3_600)
    moved = tick(first.cursor)
    assert not moved.run_requests
    assert "no new content" in str(moved.skip_reason)
    assert not tick(moved.cursor).run_requests
    (home / "data" / "drops" / "referrals-2.csv").rename(home / "data" / "drops" / "shares.csv")
    assert tick(moved.cursor).run_requests  # the same bytes of another kind


def test_a_file_that_is_still_being_written_is_waited_for(home: Path):
    drop(home, "referrals.csv", age=0)
    waiting = tick()
    assert not waiting.run_requests
    assert "1 are still being written" in str(waiting.skip_reason)


def test_where_the_platform_has_an_api_or_the_folder_is_missing_nothing_is_asked_for(home: Path):
    (home / "data" / "drops").rmdir()
    assert "advocacy.options.folder" in str(tick().skip_reason)
    (home / "data" / "integration.yaml").unlink()
    assert "has an API" in str(tick().skip_reason)


def test_a_file_of_the_future_is_one_state_and_not_another_at_each_look(home: Path):
    drop(home, "referrals.csv", age=-86_400)
    first = tick()
    assert len(first.run_requests) == 1
    assert not tick(first.cursor).run_requests
