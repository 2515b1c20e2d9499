"""Starting the sandboxes as a child process and talking to their control planes.

Belongs here: `Sandbox` (the process) and `Control` (looking inside, switches, faults, acts). Does not belong here: the
servers themselves (`server`).
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
import threading
from collections.abc import Mapping, Sequence
from datetime import datetime
from functools import cached_property
from typing import IO, Any, Self

import requests

from referral_pipeline.sandbox.credentials import SECRETS
from referral_pipeline.sandbox.programme.size import ProgrammeSize

_START_SECONDS = 60.0
_STOP_SECONDS = 10.0
_CONTROL_TIMEOUT = (3.05, 30.0)


class SandboxFailed(RuntimeError):
    """The sandbox process did not start; the text is what it said."""


class Control:
    """The control plane of one sandbox. `root` is the server's address without a path."""

    def __init__(self, root: str) -> None:
        self.root = root
        self._session = requests.Session()

    def dump(self) -> dict[str, list[dict[str, Any]]]:
        """All rows by entity, as stored."""
        return self._get("dump")

    def truth(self) -> dict[str, Any]:
        """The programme's truth (`sandbox.programme.truth`)."""
        return self._get("truth")

    def calls(self) -> dict[str, dict[str, int]]:
        """{operation: {status: count}} since the start or the last reset; injected faults are not in it."""
        return self._get("calls")

    def reset_calls(self) -> None:
        """Count anew."""
        self._post("calls/reset", {})

    def switches(self, **values: Any) -> dict[str, Any]:
        """Set switches; answers all."""
        return self._post("switches", values)

    def faults(
        self,
        rate: float,
        kinds: Sequence[str] | None = None,
        seed: int = 7,
        *,
        only: str | None = None,
        slow_seconds: float | None = None,
    ) -> dict[str, Any]:
        """Inject faults from now on; rate 0 ends it. `only`: how the calls begin that meet them: "GET /v3/jobs"."""
        wish = {"rate": rate, "kinds": kinds, "seed": seed, "only": only, "slow_seconds": slow_seconds}
        return self._post("faults", wish)

    def drift(self, *changes: Mapping[str, Any]) -> dict[str, Any]:
        """Answer changed from now on (`sandbox.drift.Change`); without any, as ever."""
        return self._post("drift", {"changes": [dict(change) for change in changes]})

    def clock(self, seconds: float) -> dict[str, Any]:
        """Set the server's clock so far ahead of the real one (behind, when negative), a tenth of a second later."""
        return self._post("clock", {"seconds": seconds})

    def injected(self) -> dict[str, int]:
        """How many faults of each kind happened since they were set."""
        return self._get("faults")["injected"]

    def act(self, action: str, **details: Any) -> dict[str, Any]:
        """Do what a person does in the vendor's own pages."""
        return self._post("act", {"action": action, **details})

    def webhooks(self, **modes: Any) -> dict[str, Any]:
        """Set where webhooks go (`url`, None for nowhere) and how (`sandbox.webhooks.modes`); answers the state.

        What is not named stays; `reset=True` first forgets all but the url.
        """
        return self._post("webhooks", modes) if modes else self._get("webhooks")

    def webhook_log(self, since: float = 0.0) -> list[dict[str, Any]]:
        """Deliveries made at or after `since`, oldest first: {id, type, subject, made_at, mode, attempts}.

        `attempts` are {at, status, seconds}; status None: no answer. All moments are epoch seconds.
        """
        return self._get(f"webhooks/log?since={since!r}")

    def forget_webhooks(self) -> None:
        """Empty the log of deliveries."""
        self._post("webhooks/log/reset", {})

    def release(self, order: str | Sequence[str] = "made") -> int:
        """Send held webhooks one after the other ("made", "reversed", "shuffled", these ids), or all "together"."""
        return self._post("webhooks/release", {"order": order})["released"]

    def emit(self, event_type: str, record_id: str | int, *, delivery_id: str | None = None) -> str | None:
        """Send a webhook about a record as it is now; answers the delivery's id."""
        return self._post("webhooks/emit", {"type": event_type, "id": str(record_id), "delivery_id": delivery_id})["id"]

    def arrivals(self, since: float = 0.0) -> list[dict[str, Any]]:
        """What came in through the API at or after an epoch second, oldest first.

        Greenhouse: {application_id, candidate_id, referral_id, at}, when an application got its referral tag.
        Advocacy: {referral_id, status, at, changed} for each status that was taken.
        """
        return self._get(f"arrivals?since={since!r}")

    def outage(self, kind: str | None = "unavailable") -> dict[str, Any]:
        """Close the whole API, None ends it; webhooks go on.

        "unavailable": every call is answered 503. "dropped": its connection is reset. "unauthorized": every call but
        that for a token is answered 401. "read_only": what writes is answered 503.
        """
        return self._post("outage", {"kind": kind})

    def poison(self, text: str | None, status: int = 500) -> dict[str, Any]:
        """Answer `status` to every call whose address or body holds `text`: one bad record. None ends it."""
        return self._post("poison", {"text": text, "status": status})

    def close(self) -> None:
        """Close the session."""
        self._session.close()

    def _get(self, what: str) -> Any:
        return self._answer(self._session.get(f"{self.root}/_sandbox/{what}", timeout=_CONTROL_TIMEOUT))

    def _post(self, what: str, body: Mapping[str, Any]) -> Any:
        return self._answer(self._session.post(f"{self.root}/_sandbox/{what}", json=body, timeout=_CONTROL_TIMEOUT))

    @staticmethod
    def _answer(response: requests.Response) -> Any:
        if not response.ok:
            raise ValueError(f"the sandbox refused: {response.status_code} {response.text[:300]}")
        return response.json()


class Sandbox:
    """Both sandboxes in one child process, from `with` to the end of its block.

    The child ends with this process, however this one ends: it watches the pipe that is its standard input.

    Args:
        seed: of programme and faults.
        size: of the programme.
        faults: share of requests that are spoilt.
        fault_kinds: which faults; None: all (`sandbox.faults.KINDS`).
        as_of: end of the programme's history; None: today, 00:00 UTC.
        advocacy: connector of the advocacy platform that is played (`sandbox.platforms`).
        switches: of its sandbox.
        ats: connector of the ATS that is played (`sandbox.ats`).
        ats_switches: of its sandbox. `greenhouse` is the same, for the default.
        advocacy_port: 0 for a free one.
        ats_port: 0 for a free one.
        crm: connector of the CRM that is played (`sandbox.crm`); None for none.
        crm_switches: of its sandbox.
        rate_limit: calls per window of both; None for the defaults.
        webhooks_to: the receiver's address, http://host:port; None: no webhooks until `Control.webhooks(url=...)`.
    """

    def __init__(
        self,
        *,
        seed: int = 7,
        size: ProgrammeSize | None = None,
        faults: float = 0.0,
        fault_kinds: Sequence[str] | None = None,
        as_of: datetime | None = None,
        advocacy: str = "advocacy",
        switches: Mapping[str, Any] | None = None,
        ats: str = "greenhouse",
        ats_switches: Mapping[str, Any] | None = None,
        greenhouse: Mapping[str, Any] | None = None,
        advocacy_port: int = 0,
        ats_port: int = 0,
        crm: str | None = None,
        crm_switches: Mapping[str, Any] | None = None,
        rate_limit: int | None = None,
        webhooks_to: str | None = None,
    ) -> None:
        self._options: dict[str, Any] = {
            "seed": seed,
            "size": (size or ProgrammeSize()).as_dict(),
            "faults": faults,
            "fault_kinds": list(fault_kinds) if fault_kinds is not None else None,
            "as_of": as_of.isoformat() if as_of else None,
            "advocacy": advocacy,
            "advocacy_switches": dict(switches or {}),
            "ats": ats,
            "ats_switches": dict(ats_switches or greenhouse or {}),
            "advocacy_port": advocacy_port,
            "ats_port": ats_port,
            "crm": crm,
            "crm_switches": dict(crm_switches or {}),
            "rate_limit": rate_limit,
            "webhooks_to": webhooks_to,
        }
        self._process: subprocess.Popen[bytes] | None = None
        self._errors: IO[bytes] | None = None
        self._ready: dict[str, Any] = {}

    def __enter__(self) -> Self:
        """Start the child and wait until both servers listen.

        Raises:
            SandboxFailed: It ended, or took longer than a minute.
        """
        self._errors = tempfile.TemporaryFile()
        self._process = subprocess.Popen(  # noqa: S603 - our own module, our own interpreter
            [sys.executable, "-m", "referral_pipeline.sandbox", "--json", "--options", json.dumps(self._options)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._errors,
        )
        self._ready = self._await_ready(self._process)
        return self

    def __exit__(self, *_: object) -> None:
        """Stop the child."""
        self.stop()

    def start(self) -> Self:
        """As entering the block, for callers that stop it themselves."""
        return self.__enter__()

    def stop(self) -> None:
        """Ask the child to end, and wait for it. May be called again."""
        for control in (self.__dict__.pop(name, None) for name in ("_advocacy", "_ats", "_crm")):
            if control is not None:
                control.close()
        process, self._process = self._process, None
        if process is not None:
            process.terminate()
            try:
                process.wait(_STOP_SECONDS)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
            for stream in (process.stdin, process.stdout):
                if stream is not None:
                    stream.close()
        if self._errors is not None:
            self._errors.close()
            self._errors = None

    @property
    def pid(self) -> int:
        """The child's process id."""
        if self._process is None:
            raise SandboxFailed("the sandbox is not running")
        return self._process.pid

    @property
    def ats(self) -> str:
        """The connector of the ATS that is played."""
        return self._options["ats"]

    @property
    def advocacy(self) -> str:
        """The connector of the advocacy platform that is played."""
        return self._options["advocacy"]

    @property
    def crm(self) -> str | None:
        """The connector of the CRM that is played; None for none."""
        return self._options["crm"]

    @property
    def advocacy_url(self) -> str:
        """The advocacy platform's base URL."""
        return self._ready["advocacy_url"]

    @property
    def ats_url(self) -> str:
        """The ATS's base URL (of Greenhouse it ends in /v3)."""
        return self._ready["ats_url"]

    @property
    def ats_auth_url(self) -> str | None:
        """The ATS's token endpoint; None when it is called with a key."""
        return self._ready["ats_auth_url"]

    def environment(self) -> dict[str, str]:
        """All environment variables that a pipeline process needs to work with these sandboxes."""
        return environment(self._ready)

    def control(self, system: str) -> Control:
        """The control plane of "advocacy", whichever platform is played, or of the ATS or the CRM by its connector.

        Raises:
            ValueError: There is no such sandbox.
        """
        if system not in {"advocacy", self.ats, self.crm}:
            more = f", {self.ats} and {self.crm}" if self.crm else f" and {self.ats}"
            raise ValueError(f"there is no sandbox {system}; there are advocacy{more}")
        if system == self.crm:
            return self._crm
        return self._advocacy if system == "advocacy" else self._ats

    @cached_property
    def _advocacy(self) -> Control:
        return Control(self._ready["advocacy_root"])

    @cached_property
    def _ats(self) -> Control:
        return Control(self._ready["ats_root"])

    @cached_property
    def _crm(self) -> Control:
        return Control(self._ready["crm_url"])

    def _await_ready(self, process: subprocess.Popen[bytes]) -> dict[str, Any]:
        """The child's first line. A timer ends a child that never says it."""
        timer = threading.Timer(_START_SECONDS, process.kill)
        timer.start()
        try:
            line = process.stdout.readline() if process.stdout else b""
        finally:
            timer.cancel()
        if not line:
            process.wait()
            said = self._said()
            self.stop()
            raise SandboxFailed(f"the sandbox did not start: {said}")
        return json.loads(line)

    def _said(self) -> str:
        if self._errors is None:
            return "it said nothing"
        self._errors.seek(0)
        lines = self._errors.read().decode(errors="replace").strip().splitlines()
        return lines[-1] if lines else "it said nothing"


def environment(ready: Mapping[str, Any]) -> dict[str, str]:
    """The environment that goes with a ready line."""
    return {
        "REFERRAL_PIPELINE_ADVOCACY_BASE_URL": ready["advocacy_url"],
        **({"REFERRAL_PIPELINE_ADVOCACY_AUTH_URL": ready["advocacy_auth_url"]} if ready["advocacy_auth_url"] else {}),
        "REFERRAL_PIPELINE_ATS_BASE_URL": ready["ats_url"],
        **({"REFERRAL_PIPELINE_ATS_AUTH_URL": ready["ats_auth_url"]} if ready["ats_auth_url"] else {}),
        **({"REFERRAL_PIPELINE_CRM_BASE_URL": ready["crm_url"]} if ready.get("crm_url") else {}),
        **SECRETS,
    }
