"""The vendor's refusals: `{status, code, message, developerMessage}` with the documented codes.

Belongs here: the code table and the form. Does not belong here: injected faults (`sandbox.faults`).
"""

from __future__ import annotations

from collections.abc import Mapping

from starlette.responses import Response

from referral_pipeline.sandbox.advocacy.answers import Refused, json_answer

BAD_QUERY = "4000"
BAD_FIELDS = "4001"
INVALID = "4002"
BAD_PATH = "4003"
UNAUTHORIZED = "4010"
NOT_THERE = "4040"
NO_COMPANY = "4041"
NO_APPLICATION = "4043"
NO_USER = "4049"
TOO_MANY = "4290"
UNHANDLED = "0000"

_BY_STATUS: Mapping[int, str] = {400: INVALID, 401: UNAUTHORIZED, 404: NOT_THERE, 422: INVALID, 429: TOO_MANY}


class Fault(Refused):
    """A refusal with the vendor's code. Its words name parameters, never values."""

    def __init__(self, status: int, code: str, detail: str) -> None:
        super().__init__(status, detail)
        self.code = code


def fault_answer(refused: Refused) -> Response:
    """The body of a refusal. The vendor knows no 422: what it does not accept is 400."""
    status = 400 if refused.status == 422 else refused.status
    code = refused.code if isinstance(refused, Fault) else _BY_STATUS.get(refused.status, UNHANDLED)
    where = f"{refused.pointer}: " if refused.pointer else ""
    body = {
        "status": status,
        "code": code,
        "message": "Oops. Something went terribly wrong!",
        "developerMessage": f"{where}{refused.detail}",
    }
    return json_answer(body, status, headers=refused.headers)
