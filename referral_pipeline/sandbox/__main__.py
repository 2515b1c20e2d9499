"""`python -m referral_pipeline.sandbox`: both sandboxes on loopback until they are told to stop.

Belongs here: the command line of the child process. Does not belong here: anything else.
"""

from __future__ import annotations

import argparse
import json
import shlex
import sys
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

from referral_pipeline.sandbox.ats import ATS
from referral_pipeline.sandbox.crm import CRM
from referral_pipeline.sandbox.launch import environment
from referral_pipeline.sandbox.platforms import PLATFORMS
from referral_pipeline.sandbox.programme.size import ProgrammeSize
from referral_pipeline.sandbox.server import Options, serve


def main(arguments: Sequence[str] | None = None) -> int:
    """Run until stopped; answers the exit code."""
    parser = argparse.ArgumentParser(
        prog="python -m referral_pipeline.sandbox", description="Both sandboxes on loopback."
    )
    parser.add_argument("--seed", type=int, default=7, help="of the programme and of the faults")
    parser.add_argument(
        "--advocacy", default="advocacy", choices=sorted(PLATFORMS), help="the advocacy platform that is played"
    )
    parser.add_argument("--ats", default="greenhouse", choices=sorted(ATS), help="the ATS that is played")
    parser.add_argument("--crm", default=None, choices=sorted(CRM), help="the CRM that is played, beside the others")
    parser.add_argument("--crm-port", type=int, default=0, help="0 for a free one")
    parser.add_argument("--faults", type=float, default=0.0, help="share of requests that fail, 0 to 1")
    parser.add_argument("--advocacy-port", type=int, default=0, help="0 for a free one")
    parser.add_argument("--ats-port", type=int, default=0, help="0 for a free one")
    parser.add_argument("--as-of", type=_moment, default=None, help="end of the history; default today, 00:00 UTC")
    parser.add_argument("--rate-limit", type=int, default=None, help="calls per window of each sandbox")
    parser.add_argument(
        "--webhooks-to", default=None, metavar="URL", help="the receiver, such as http://127.0.0.1:8780"
    )
    parser.add_argument("--small", action="store_true", help="a programme of 150 referrals")
    parser.add_argument("--json", action="store_true", help="one line of JSON when ready; end with standard input")
    parser.add_argument("--options", type=json.loads, default=None, help=argparse.SUPPRESS)
    given = parser.parse_args(arguments)
    try:
        options = _options(given)
        serve(options, _print_json if given.json else _print_table, parent_pipe=given.json)
    except (OSError, ValueError) as error:
        sys.stderr.write(f"the sandbox cannot run: {error}\n")
        return 1
    return 0


def _options(given: argparse.Namespace) -> Options:
    if given.options is not None:
        values: dict[str, Any] = dict(given.options)
        values["size"] = ProgrammeSize(**values["size"])
        values["as_of"] = _moment(values["as_of"]) if values["as_of"] else None
        return Options(**values)
    return Options(
        seed=given.seed,
        advocacy=given.advocacy,
        ats=given.ats,
        crm=given.crm,
        crm_port=given.crm_port,
        faults=given.faults,
        as_of=given.as_of,
        size=ProgrammeSize.small() if given.small else ProgrammeSize(),
        advocacy_port=given.advocacy_port,
        ats_port=given.ats_port,
        rate_limit=given.rate_limit,
        webhooks_to=given.webhooks_to,
    )


def _moment(text: str) -> datetime:
    moment = datetime.fromisoformat(text)
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


def _print_json(ready: dict[str, Any]) -> None:
    sys.stdout.write(json.dumps(ready) + "\n")
    sys.stdout.flush()


def _print_table(ready: dict[str, Any]) -> None:
    lines = [
        "Both sandboxes are up; Ctrl+C stops them.",
        "",
        f"  advocacy platform   {ready['advocacy_url']}",
        *([f"  its contract        {ready['advocacy_url']}/openapi.json"] if ready["advocacy"] == "advocacy" else []),
        f"  {ready['ats']:<19} {ready['ats_url']}",
        *([f"  its tokens          {ready['ats_auth_url']}"] if ready["ats_auth_url"] else []),
        *([f"  {ready['crm']:<19} {ready['crm_url']}"] if ready["crm_url"] else []),
        f"  seed, as of         {ready['seed']}, {ready['as_of']}",
        "",
        *_webhook_lines(ready),
        "",
        "In the shell that runs the pipeline:",
        "",
        *(f"  export {name}={shlex.quote(value)}" for name, value in environment(ready).items()),
    ]
    sys.stdout.write("\n".join(lines) + "\n")
    sys.stdout.flush()


def _webhook_lines(ready: dict[str, Any]) -> list[str]:
    if ready["webhooks_to"]:
        others = " and ".join(f".../webhooks/{ready[side]}" for side in ("ats", "crm") if ready[side])
        return [f"  webhooks go to      {ready['webhooks_to']}/webhooks/{ready['advocacy']} and {others}"]
    roots = (ready["advocacy_root"], ready["ats_root"], *([ready["crm_url"]] if ready["crm_url"] else []))
    body = shlex.quote('{"url": "http://127.0.0.1:8780"}')
    return [
        "No webhooks are sent. To send them to a receiver, start with --webhooks-to URL, or now:",
        "",
        *(f"  curl --data {body} {root}/_sandbox/webhooks" for root in roots),
    ]


if __name__ == "__main__":
    sys.exit(main())
