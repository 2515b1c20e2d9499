"""Credit under all five models: a million applications with ten million touches, and beside a known library.

Belongs here: running the steps in processes of their own, and the figures. Does not belong here: the data
(attribution_data.py), a step (attribution_child.py), the library's calls (attribution_peer.py).

The library gets only the touches that count, chosen and placed by us, in memory, and answers sums by campaign in
doubles. We start from all touches in a file, judge each, give exact weights per application and share, and keep them.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
import venv
from pathlib import Path
from typing import Any

from referral_pipeline_tests.benchmarks.result import Result

PEER = "marketing-attribution-models==2.1.1"
_ROOT = Path(__file__).resolve().parents[2]
_SAME = 1e-9
"""Relative difference between sums of exact decimals and of doubles."""


def run(quick: bool) -> Result:
    """Build at full size, then both at a size that the library finishes."""
    figures: dict[str, float | int | str] = {}
    ratios: dict[str, float] = {}
    applications, shared_size = (100_000, 20_000) if quick else (1_000_000, 200_000)
    with tempfile.TemporaryDirectory() as folder:
        home = Path(folder)
        touches, seconds, built, holds = _ours(home / "full", applications)
        figures |= {
            "applications": applications,
            "touches": touches,
            "seconds": round(seconds, 1),
            **{f"seconds_{table.partition('.')[2]}": round(s, 1) for table, s in built["seconds"].items()},
            "cpu_seconds": round(built["cpu_seconds"], 1),
            "peak_rss_mib": built["rss_mib"],
            "touches_per_second": round(touches / seconds),
        }
        _, own_seconds, own, own_holds = _ours(home / "shared", shared_size)
        mine = _step("export", home / "shared", str(home / "touches.parquet"))
        peer = _peer(home)
        figures |= {
            "beside_applications": shared_size,
            "beside_ours_seconds": round(own_seconds, 2),
            "beside_ours_cpu_seconds": round(own["cpu_seconds"], 2),
            "beside_ours_peak_rss_mib": own["rss_mib"],
        }
        if isinstance(peer, str):
            figures["peer"] = peer
        else:
            difference = _difference(mine, peer["credit"])
            figures |= {
                "peer": f"marketing-attribution-models {peer['version']} on polars {peer['polars']}",
                "peer_seconds": round(peer["seconds"], 2),
                "peer_cpu_seconds": round(peer["cpu_seconds"], 2),
                "peer_peak_rss_mib": peer["rss_mib"],
                "peer_largest_relative_difference": difference,
            }
            ratios["ours_to_peer_seconds"] = round(own_seconds / peer["seconds"], 2)
            ratios["ours_to_peer_cpu_seconds"] = round(own["cpu_seconds"] / peer["cpu_seconds"], 2)
            ratios["ours_to_peer_peak_rss"] = round(own["rss_mib"] / peer["rss_mib"], 2)
            holds = holds and difference <= _SAME
    return Result("attribution", figures, ratios, holds=holds and own_holds)


def _ours(home: Path, applications: int) -> tuple[int, float, dict[str, Any], bool]:
    """Touches, seconds, what the build told, and whether every sum is exactly 1."""
    home.mkdir()
    touches = _step("make", home, str(applications))["touches"]
    built = _step("build", home)
    checked = _step("check", home)
    return touches, sum(built["seconds"].values()), built, checked["off"] == 0 and checked["credited"] > 0


def _step(name: str, home: Path, *arguments: str) -> dict[str, Any]:
    command = [sys.executable, "-m", "referral_pipeline_tests.benchmarks.attribution_child", name, str(home)]
    done = subprocess.run([*command, *arguments], cwd=_ROOT, capture_output=True, text=True, check=False)
    if done.returncode:
        raise RuntimeError(f"step {name} failed: {done.stderr.strip()}")
    return json.loads(done.stdout)


def _peer(home: Path) -> dict[str, Any] | str:
    """What the library answers, from an environment made for it alone; or why it could not be asked."""
    place = home / "peer"
    venv.create(place, with_pip=True)
    python = place / "bin" / "python"
    installed = subprocess.run(
        [str(python), "-m", "pip", "install", "--quiet", PEER], capture_output=True, text=True, check=False
    )
    if installed.returncode:
        return f"{PEER} cannot be installed here: {installed.stderr.strip().splitlines()[-1:]}"
    script = Path(__file__).with_name("attribution_peer.py")
    done = subprocess.run(
        [str(python), str(script), str(home / "touches.parquet")], capture_output=True, text=True, check=False
    )
    return (
        json.loads(done.stdout) if done.returncode == 0 else f"{PEER} failed: {done.stderr.strip().splitlines()[-1:]}"
    )


def _difference(mine: dict[str, dict[str, float]], theirs: dict[str, dict[str, float]]) -> float:
    """The largest relative difference of any campaign under any model."""
    return max(
        abs(theirs[model].get(campaign, 0.0) - value) / max(value, 1.0)
        for model, of_campaign in mine.items()
        for campaign, value in of_campaign.items()
    )
