"""All judgements of one look, as the health of the integration.

Belongs here: calling the judges, and the order of their rows. Does not belong here: what each of them says.
"""

from __future__ import annotations

from referral_pipeline.contract.models import Contract
from referral_pipeline.monitoring.health import Health
from referral_pipeline.monitoring.judge_calls import judge_calls
from referral_pipeline.monitoring.judge_events import judge_events
from referral_pipeline.monitoring.judge_states import judge_states
from referral_pipeline.monitoring.runbook import RUNBOOK
from referral_pipeline.monitoring.volume import judge_volume
from referral_pipeline.monitoring.watch import Facts

_ORDER = {measure: number for number, measure in enumerate(RUNBOOK)}


def judge(facts: Facts, contract: Contract) -> Health:
    """The health that these facts show."""
    rows = [
        *judge_calls(facts, contract),
        *judge_events(facts, contract),
        *judge_volume(facts, contract),
        *judge_states(facts, contract),
    ]
    rows.sort(key=lambda row: _ORDER[row.measure])
    run = next((beat.details.get("run_id") for beat in facts.beats.get("lane", ())), None)
    return Health(facts.now, tuple(rows), run_id=run if isinstance(run, str) else None)
