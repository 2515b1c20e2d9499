"""An installation of the bridge against running sandboxes, as a user would have it."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from referral_pipeline.contract.scaffold import LOCAL_SANDBOX, integration_yaml
from referral_pipeline.orchestration.bridge import Bridge
from referral_pipeline.orchestration.run import RunOutcome, run_job
from referral_pipeline.sandbox.launch import Sandbox
from referral_pipeline.sandbox.programme.costs import write_sample_costs
from referral_pipeline.sandbox.programme.manual_intake import write_sample_manual_intake
from referral_pipeline.sandbox.programme.size import ProgrammeSize
from referral_pipeline.sandbox.verify import Verification, verify
from referral_pipeline.settings import Settings, load_settings
from referral_pipeline.sync.report import SyncReport
from referral_pipeline_tests.warm import WarmCommand


@dataclass(frozen=True)
class Levelled:
    """What one levelling did, and what the warehouse then holds."""

    candidates: SyncReport
    statuses: SyncReport
    jobs: SyncReport
    attribution: list[dict[str, Any]]
    credit: list[dict[str, Any]]
    quarantine: list[dict[str, Any]]

    def of(self, application_id: int | str) -> dict[str, Any]:
        """The attribution row of one application, missing values as None."""
        (row,) = [r for r in self.attribution if r["ats_application_id"] == str(application_id)]
        return {name: None if value is pd.NaT or value != value else value for name, value in row.items()}


@dataclass
class Installation:
    """A home folder, the sandboxes it talks to, and short ways to run and to look."""

    home: Path
    sandbox: Sandbox
    environment: Mapping[str, str]
    outcomes: list[RunOutcome] = field(default_factory=list)

    @property
    def settings(self) -> Settings:
        return load_settings(self.home)

    def refresh(self, *, full: bool = False, name: str = "refresh", **kwargs: Any) -> RunOutcome:
        config = {"ops": {op: {"config": {"full": True}} for op in ("pull_advocacy", "pull_ats")}} if full else None
        outcome = run_job(name, self.settings, sink=lambda *_: None, run_config=config, **kwargs)
        self.outcomes.append(outcome)
        return outcome

    def level(self, *, full: bool = False) -> Levelled:
        """Both systems brought level and attribution rebuilt by the same steps as a refresh, without Dagster."""
        with Bridge.open(self.settings) as bridge:
            bridge.pull_advocacy(full=full)
            _, staging = bridge.pull_ats(full=full)
            written = bridge.write_candidates()
            statuses = bridge.return_statuses()
            jobs = bridge.publish_jobs()
            bridge.resolve_people()
            bridge.build_attribution(as_of=datetime.now(UTC))
            attribution = bridge.warehouse.frame("SELECT * FROM core.attribution").to_dict("records")
            credit = bridge.warehouse.frame("SELECT * FROM core.attribution_credit").to_dict("records")
            quarantine = bridge.warehouse.frame("SELECT * FROM staging.quarantine").to_dict("records")
        del staging
        return Levelled(written.report, statuses, jobs, attribution, credit, quarantine)

    def truth(self) -> dict[str, Any]:
        return self.sandbox.control("advocacy").truth()

    def verify(self) -> Verification:
        advocacy = self.dump("advocacy")
        # Levelling counts nothing, so that no advocate was told of anything yet.
        ats = self.sandbox.ats
        return verify(self.truth(), advocacy, self.dump(ats), results=bool(advocacy["results"]), ats=ats)

    def dump(self, system: str) -> dict[str, Any]:
        return self.sandbox.control(system).dump()

    def act(self, system: str, action: str, **values: Any) -> dict[str, Any]:
        return self.sandbox.control(system).act(action, **values)

    def row(self, system: str, entity: str, record_id: str | int) -> dict[str, Any]:
        (found,) = [r for r in self.dump(system)[entity] if str(r["id"]) == str(record_id)]
        return found

    def command(self, *arguments: str, **kwargs: Any) -> subprocess.Popen[str]:
        return subprocess.Popen(
            [sys.executable, "-m", "referral_pipeline.cli", *arguments],
            env={**os.environ, **self.environment},
            cwd=self.home,
            text=True,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            **kwargs,
        )

    def warm_command(self, *arguments: str) -> WarmCommand:
        """As `command`, for tests of what a process does and not of how it starts."""
        return WarmCommand(arguments, environment={**os.environ, **self.environment}, folder=self.home)


def installed(home: Path, sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch) -> Installation:
    choices = replace(LOCAL_SANDBOX, ats=sandbox.ats, advocacy=sandbox.advocacy, crm=sandbox.crm)
    if choices != LOCAL_SANDBOX:
        # The embedded contract is that of Greenhouse and of our own platform.
        (home / "data").mkdir(parents=True, exist_ok=True)
        (home / "data" / "integration.yaml").write_text(integration_yaml(choices), encoding="utf-8")
    write_sample_costs(home, datetime.now(UTC).date())
    platform = sandbox.control("advocacy")
    write_sample_manual_intake(home, lambda: platform.dump()["referrals"], platform.truth)
    environment = {**sandbox.environment(), "REFERRAL_PIPELINE_HOME": str(home)}
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    monkeypatch.delenv("REFERRAL_PIPELINE_CONFIG", raising=False)
    return Installation(home, sandbox, environment)


@pytest.fixture
def installation(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Installation]:
    """A fresh installation and a fresh small programme."""
    with Sandbox(size=ProgrammeSize.small()) as sandbox:
        yield installed(tmp_path / "home", sandbox, monkeypatch)


@pytest.fixture(scope="module")
def shared_patch() -> Iterator[pytest.MonkeyPatch]:
    with pytest.MonkeyPatch.context() as patch:
        yield patch


@pytest.fixture(scope="module")
def twice(tmp_path_factory: pytest.TempPathFactory, shared_patch: pytest.MonkeyPatch) -> Iterator[Installation]:
    """A small programme after two refreshes; for tests that only look."""
    with Sandbox(size=ProgrammeSize.small()) as sandbox:
        installation = installed(tmp_path_factory.mktemp("twice") / "home", sandbox, shared_patch)
        installation.refresh()
        installation.refresh()
        yield installation
