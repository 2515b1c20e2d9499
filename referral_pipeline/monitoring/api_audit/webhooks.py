"""What the receiver has seen of a system's webhooks.

Belongs here: the two lines on them, from the key that is set and the inbox. Does not belong here: verifying signatures
(webhooks), listing and registering webhooks where an API can (the connector's own lines). What arrived is the evidence
that they work.
"""

from __future__ import annotations

from referral_pipeline.connectors.capabilities import ALWAYS, Area, Capability, Question
from referral_pipeline.contract.models import System
from referral_pipeline.contract.systems import facts_of
from referral_pipeline.ledger.store import Ledger
from referral_pipeline.settings import Settings
from referral_pipeline.webhooks.signatures import Keyring, scheme_of

_LOOKED_AT = 1000
_WEBHOOK = "webhook"

_KEY = Question(
    Area.WEBHOOKS,
    "webhooks.signature",
    "Webhooks are signed, and the key fits the scheme",
    "whoever sends an event is known",
    "every webhook is refused: set the key that the sender shows",
    (ALWAYS,),
)
_ARRIVED = Question(
    Area.WEBHOOKS,
    "webhooks.arrived",
    "Webhooks arrive",
    "changes are handled in seconds",
    "changes wait for the next reconciliation: point the system's webhooks at the receiver",
)


def webhook_lines(system: System, ledger: Ledger, settings: Settings) -> list[Capability]:
    """Both lines on the webhooks of one system."""
    scheme = scheme_of(system.connector)
    if scheme is None:
        return [_KEY.not_verified(f"the receiver knows no scheme of {system.connector}")]
    name = getattr(scheme, "__name__", system.connector)
    problem = Keyring(system.connector, system.webhook_secret_env, settings, system.options).problem()
    events = ledger.inbox_events(system=system.connector, limit=_LOOKED_AT)
    # What came in by itself; what reconciliation found and what people replayed did not.
    arrived = [event for event in events if event.origin == _WEBHOOK]
    lines: list[Capability] = []
    facts = facts_of(system.connector)
    if facts is not None and not facts.signs_webhooks:
        where = f"it is told from where they come ({name})" if problem is None else problem
        lines.append(_KEY.partial(f"nothing is signed; {where}", "each record is read anew before it counts"))
    elif problem is not None:
        lines.append(_KEY.missing(f"{system.webhook_secret_env} {problem}"))
    elif arrived:
        lines.append(_KEY.covered(f"{name}: deliveries passed its verification"))
    else:
        lines.append(_KEY.partial(f"{name}: the key can be used", "no delivery tried it"))
    if arrived:
        kinds = len({event.event_type for event in arrived})
        last = max(event.received_at for event in arrived)
        lines.append(_ARRIVED.covered(f"{kinds} types among the last {len(arrived)}, the newest {last:%Y-%m-%d %H:%M}"))
    else:
        lines.append(_ARRIVED.not_verified("none has arrived here yet"))
    return lines
