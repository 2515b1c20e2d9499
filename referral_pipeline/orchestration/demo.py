"""The demonstration: sandboxes up, the whole flow both ways twice, and every outcome held against the truth.

Belongs here: the order of the demonstration and what it measures. Does not belong here: drawing (cli), the comparison
itself (sandbox.verify), any shortcut that a real run would not take.

The demonstration keeps its state where a real installation would (data/state), but only when nothing else lives there:
a folder that it did not make itself is never touched; then it works in data/state/demo.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Generator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from referral_pipeline.contract.scaffold import LOCAL_SANDBOX, Choices, integration_yaml, sandbox_contract
from referral_pipeline.orchestration.progress import Sink
from referral_pipeline.orchestration.run import RunOutcome, run_job
from referral_pipeline.orchestration.state import state_folder
from referral_pipeline.sandbox.launch import Sandbox
from referral_pipeline.sandbox.programme.costs import write_sample_costs
from referral_pipeline.sandbox.programme.manual_intake import write_sample_manual_intake
from referral_pipeline.sandbox.verify import Verification, verify
from referral_pipeline.sandbox.verify_contacts import verify_contacts
from referral_pipeline.settings import Settings, load_settings

PASSES = 2
_MARKER = ".made-by-demo"
_WRITTEN = ("created", "updated", "erased")
_CALLS_PER_WINDOW = 20_000
"""A real account allows about 75 in 30 s, which would make an hour of the demonstration; the client obeys either."""
_VISIBILITY_LAG_SECONDS = 1.0
"""The vendor's may be 30; the bridge must not rely on seeing at once what it has just created."""


@dataclass(frozen=True)
class Pass:
    """What one run of the whole flow did. `blocked` counts referrals by reason, `quarantined` rows left out.

    `contacts_written` is None where no CRM is played.
    """

    candidates_created: int
    applications_created: int
    candidates_updated: int
    statuses_sent: int
    results_sent: int
    blocked: Mapping[str, int]
    quarantined: int
    api_calls: int
    seconds: float
    contacts_written: int | None = None

    def as_json(self) -> dict[str, Any]:
        """The form that `demo --json` prints."""
        return {
            "candidates_created": self.candidates_created,
            "applications_created": self.applications_created,
            "candidates_updated": self.candidates_updated,
            "statuses_sent": self.statuses_sent,
            "results_sent": self.results_sent,
            **({"contacts_written": self.contacts_written} if self.contacts_written is not None else {}),
            "blocked": dict(sorted(self.blocked.items())),
            "quarantined": self.quarantined,
            "api_calls": self.api_calls,
            "seconds": round(self.seconds, 1),
        }


@dataclass(frozen=True)
class Demonstration:
    """The outcome: the passes, the comparison with the truth, all differences, the headline KPIs and the report."""

    passes: tuple[Pass, ...]
    verification: Verification
    differences: tuple[str, ...]
    kpis: Mapping[str, float | None]
    report: Path

    def as_json(self) -> dict[str, Any]:
        """The form that `demo --json` prints."""
        return {
            "differences": list(self.differences),
            "passes": [p.as_json() for p in self.passes],
            "kpis": dict(self.kpis),
            "report": str(self.report),
        }


class DemoFailedError(Exception):
    """A pass of the demonstration did not run to its end; the message says which step and why."""


@contextmanager
def demonstration(
    settings: Settings,
    *,
    seed: int,
    faults: float,
    sink: Sink,
    ats: str = LOCAL_SANDBOX.ats,
    advocacy: str = LOCAL_SANDBOX.advocacy,
    crm: str | None = None,
) -> Generator[tuple[Demonstration, Settings]]:
    """Run the demonstration and keep the sandboxes up until the block ends.

    Args:
        settings: whose home is used.
        seed: of the programme; the same seed gives the same programme on the same day.
        faults: share of calls that fail in one of seven ways, 0 to 1.
        sink: where progress goes.
        ats: connector of the ATS that is played (`sandbox.ats`).
        advocacy: connector of the advocacy platform that is played (`sandbox.platforms`).
        crm: connector of the CRM that is played beside (`sandbox.crm`); None for none.

    Raises:
        DemoFailedError: a pass failed.
    """
    switches = {"visibility_lag_seconds": _VISIBILITY_LAG_SECONDS, "rate_limit": _CALLS_PER_WINDOW}
    sink("start the sandboxes", 0, 1)
    played = Sandbox(seed=seed, faults=faults, ats=ats, advocacy=advocacy, ats_switches=switches, crm=crm)
    with with_sandbox(settings, played) as (sandbox, own):
        sink("start the sandboxes", 1, 1)
        truth = sandbox.control("advocacy").truth()
        passes = tuple(_run_pass(own, number, sink, has_crm=crm is not None) for number in range(1, PASSES + 1))
        verification = verify(truth, sandbox.control("advocacy").dump(), sandbox.control(ats).dump(), ats=ats)
        if crm is not None:
            contacts = verify_contacts(truth, sandbox.control(crm).dump(), sandbox.control(ats).dump())
            verification = Verification(
                [*verification.rows, *contacts.rows], [*verification.differences, *contacts.differences]
            )
        kpis = _headline(own)
        yield (
            Demonstration(
                passes=passes,
                verification=verification,
                differences=(*verification.differences, *_repetition(passes), *_kpi_differences(truth, kpis)),
                kpis=kpis,
                report=own.published_dir / "leadership.html",
            ),
            own,
        )


@contextmanager
def with_sandbox(settings: Settings, sandbox: Sandbox) -> Generator[tuple[Sandbox, Settings]]:
    """Start the sandboxes and yield them with the settings of a home of their own, emptied before.

    What was written about earlier sandboxes is true of those only: each start has a fresh programme.
    """
    choices = replace(LOCAL_SANDBOX, ats=sandbox.ats, advocacy=sandbox.advocacy, crm=sandbox.crm)
    home = demo_home(settings, choices)
    write_sample_costs(home, datetime.now(UTC).date())
    with sandbox, _environment(sandbox.environment(), home):
        platform = sandbox.control("advocacy")
        write_sample_manual_intake(home, lambda: platform.dump()["referrals"], platform.truth)
        yield sandbox, load_settings(home)


def demo_home(settings: Settings, choices: Choices = LOCAL_SANDBOX) -> Path:
    """An empty home for local sandboxes: the user's own when nothing else lives there, else one beside it.

    The embedded contract is that of Greenhouse and of our own platform: any others have a home of their own, with their
    contract.
    """
    contract = settings.config_path
    own_contract = contract.exists() and contract.read_text(encoding="utf-8") != sandbox_contract()
    in_use = any(_is_in_use(folder) for folder in (settings.state_dir, settings.published_dir))
    home = state_folder(settings) / "demo" if own_contract or in_use else settings.home
    if choices != LOCAL_SANDBOX:
        names = zip((choices.advocacy, choices.ats, choices.crm), ("advocacy", "greenhouse", None), strict=True)
        home = state_folder(settings) / "-".join(["demo", *(name for name, usual in names if name and name != usual)])
        (home / "data").mkdir(parents=True, exist_ok=True)
        text = integration_yaml(choices)
        (home / "data" / "integration.yaml").write_text(text, encoding="utf-8")
    for folder in (home / "data" / "state", home / "data" / "published"):
        if (folder / _MARKER).exists():
            shutil.rmtree(folder)
        if not folder.exists():
            folder.mkdir(parents=True, mode=0o700 if folder.name == "state" else 0o777)
            (folder / _MARKER).write_text(
                "Made by `referral-pipeline demo`, which empties this folder.\n", encoding="utf-8"
            )
    return home


def _is_in_use(folder: Path) -> bool:
    return folder.exists() and any(folder.iterdir()) and not (folder / _MARKER).exists()


@contextmanager
def _environment(values: Mapping[str, str], home: Path) -> Generator[None]:
    """The environment of a process that talks to the sandboxes, put back afterwards."""
    wanted = {**values, "REFERRAL_PIPELINE_HOME": str(home)}
    before = {name: os.environ.get(name) for name in [*wanted, "REFERRAL_PIPELINE_CONFIG"]}
    os.environ.update(wanted)
    os.environ.pop("REFERRAL_PIPELINE_CONFIG", None)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value


def _run_pass(settings: Settings, number: int, sink: Sink, *, has_crm: bool) -> Pass:
    calls_before = _calls(settings)
    outcome = run_job("refresh", settings, sink=lambda what, done, total: sink(f"pass {number}: {what}", done, total))
    if not outcome.success:
        raise DemoFailedError(_why(outcome))
    return Pass(
        candidates_created=outcome.number("ats_referral_candidates", "candidates_created"),
        applications_created=outcome.number("ats_referral_candidates", "applications_created"),
        candidates_updated=outcome.number("ats_referral_candidates", "candidates_updated"),
        statuses_sent=outcome.number("advocacy_referral_statuses", "statuses_sent"),
        results_sent=outcome.number("advocate_results", "results_sent"),
        blocked=outcome.metadata["ats_referral_candidates"].get("blocked_by_reason", {}),
        quarantined=sum(int(m.get("quarantined", 0)) for m in outcome.metadata.values()),
        api_calls=_calls(settings) - calls_before,
        seconds=outcome.seconds,
        contacts_written=sum(outcome.number("crm_contacts", f"contacts_{what}") for what in _WRITTEN)
        if has_crm
        else None,
    )


def _why(outcome: RunOutcome) -> str:
    blocking = [c.message for c in outcome.failed_checks if c.blocking]
    errors = [f"{step}: {error.splitlines()[0] if error else 'failed'}" for step, error in outcome.errors.items()]
    return "; ".join([*errors, *blocking]) or "the run failed; its log is in the Dagster UI"


def _calls(settings: Settings) -> int:
    from referral_pipeline.contract.loader import load_contract
    from referral_pipeline.ledger.store import Ledger

    with Ledger.open(load_contract(settings).ledger.url, home=settings.home) as ledger:
        return ledger.calls_recorded()


def _headline(settings: Settings) -> dict[str, float | None]:
    from referral_pipeline.contract.loader import load_contract
    from referral_pipeline.warehouse.store import Warehouse

    url = load_contract(settings).warehouse.url
    warehouse = Warehouse(url, home=settings.home, published_dir=settings.published_dir)
    # The headline rows, and beside time to hire over all channels the one of those who came through an advocate.
    frame = warehouse.frame(
        "SELECT kpi || if(segment_kind = 'channel', '_' || segment, '') AS kpi, value FROM mart.kpi "
        "WHERE period_kind = 'all' AND (segment_kind = 'all' "
        "OR segment_kind = 'channel' AND kpi = 'time_to_hire_days') ORDER BY kpi"
    )
    return {
        str(row["kpi"]): None if row["value"] is None or row["value"] != row["value"] else float(row["value"])
        for row in frame.to_dict("records")
    }


def _repetition(passes: tuple[Pass, ...]) -> list[str]:
    """What a repeated pass did although nothing had changed."""
    return [
        f"pass {number}: {name} is {getattr(p, name)}, expected 0 because nothing had changed"
        for number, p in enumerate(passes[1:], start=2)
        for name in (
            *("candidates_created", "applications_created", "candidates_updated"),
            *("statuses_sent", "results_sent", "contacts_written"),
        )
        if getattr(p, name) not in (0, None)
    ]


def _kpi_differences(truth: Mapping[str, Any], found: Mapping[str, float | None]) -> list[str]:
    """Where a headline number differs from the one that the programme was made with."""
    differences: list[str] = []
    kpis = truth["kpis"]
    wanted = {
        "referral_conversion_rate": kpis["referral_conversion_rate"]["value"],
        "attribution_coverage": kpis["attribution_coverage"]["value"],
        "time_to_hire_days_advocacy": kpis["time_to_hire_days"]["median"],
    }
    for name, expected in wanted.items():
        value = found.get(name)
        if value is None or expected is None:
            if value is not expected:
                differences.append(f"kpi {name}: found {value}, expected {expected}")
        elif abs(value - expected) > 1e-6 * max(1.0, abs(expected)):
            differences.append(f"kpi {name}: found {value:.6f}, expected {expected:.6f}")
    return differences
