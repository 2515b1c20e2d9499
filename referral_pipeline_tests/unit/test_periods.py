"""Back-fills: from which day to pull again, at which moment the numbers stand, and what is refused."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from click.testing import CliRunner

from referral_pipeline.cli import main
from referral_pipeline.orchestration.build import build_defs
from referral_pipeline.orchestration.periods import AsOfConfig, PullConfig
from referral_pipeline.orchestration.run import period_config
from referral_pipeline_tests.unit.core_world import World


def test_a_day_is_its_beginning_in_utc_and_a_time_keeps_its_zone():
    assert PullConfig(since="2026-05-04").since_moment == datetime(2026, 5, 4, tzinfo=UTC)
    assert AsOfConfig(as_of="2026-05-04T02:00:00+02:00").moment == datetime(2026, 5, 4, tzinfo=UTC)
    assert PullConfig().since_moment is None
    assert AsOfConfig().given is None
    assert abs(AsOfConfig().moment - datetime.now(UTC)) < timedelta(minutes=1)


@pytest.mark.parametrize(("text", "words"), [("soon", "write a day"), ("2999-01-01", "lies in the future")])
def test_what_is_no_time_or_has_not_come_is_refused_with_the_mend(text: str, words: str):
    with pytest.raises(ValueError, match=words):
        _ = PullConfig(since=text).since_moment
    with pytest.raises(ValueError, match=words):
        _ = AsOfConfig(as_of=text).moment
    for option in ("--since", "--as-of"):
        result = CliRunner().invoke(main, ["refresh", option, text])
        assert result.exit_code == 2
        assert "Traceback" not in result.output


def test_the_config_of_a_period_is_one_that_the_refresh_takes():
    config = period_config(full=True, since=datetime(2026, 5, 4, tzinfo=UTC), as_of=datetime(2026, 6, 1, tzinfo=UTC))
    assert config is not None
    job = build_defs().resolve_job_def("refresh")
    with_as_of = {node.name for node in job.nodes if node.definition.config_field and "as_of" in _fields(node)}
    assert {op for op, given in config["ops"].items() if "as_of" in given["config"]} == with_as_of
    assert config["ops"]["pull_ats"]["config"] == {"full": True, "since": "2026-05-04T00:00:00+00:00"}
    assert period_config() is None


def _fields(node: object) -> set[str]:
    return set(node.definition.config_field.config_type.fields)  # type: ignore[attr-defined]


def test_the_manifest_says_at_which_moment_the_numbers_stand(tmp_path: Path):
    warehouse = World(tmp_path).build().warehouse
    for as_of, told in ((datetime(2026, 5, 4, tzinfo=UTC), "2026-05-04T00:00:00Z"), (None, None)):
        warehouse.publish(["core.attribution"], as_of=as_of)
        manifest = json.loads((tmp_path / "published" / "manifest.json").read_text())
        assert manifest["as_of"] == told
