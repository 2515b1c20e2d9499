"""A mailbox that more people use than the lane gathers: who is who, an event finds as a refresh does."""

from __future__ import annotations

from itertools import count

from referral_pipeline.orchestration.bridge import Bridge
from referral_pipeline.sync.lane.surroundings import MOST_RECORDS
from referral_pipeline_tests.pipeline.event_rig import Person, World, shared_world, world

__all__ = ["shared_world", "world"]

MAILBOX = "careers-desk@college.example.net"


_NUMBERS = count(100)


def student(world: World) -> Person:
    """Somebody whose name equals nobody else's after folding, either."""
    name = "".join("bdfgklmnpr"[int(digit)] + "u" for digit in str(next(_NUMBERS)))
    return world.person(first_name=f"Pia{name}", last_name=f"Stein{name}", email=MAILBOX, phone=None)


def refreshed(world: World) -> dict[str, str]:
    with Bridge.open(world.settings) as bridge:
        bridge.pull_advocacy(full=True)
        bridge.pull_ats(full=True)
        return dict(bridge.resolve_people().person_of)


def test_who_comes_back_among_450_people_of_one_mailbox_is_taken_for_the_candidate_of_the_same_name(world: World):
    for number in range(450):
        if number % 3:
            world.submit(student(world), stage="clicked", applied_at=None)
        else:
            world.by_hand(student(world))
    returning = student(world)
    typed_in = world.by_hand(returning)
    before = refreshed(world)
    assert len(before) > MOST_RECORDS
    world.arrived()  # what came of all that is known by the refresh
    referral_id = world.submit(returning)
    world.settle()
    assert [row["id"] for row in world.candidates(returning)] == [typed_in["id"]]
    assert {a["candidate_id"] for a in world.applications(returning)} == {typed_in["id"]}
    person = before[f"greenhouse:{typed_in['id']}"]
    assert world.ledger.persons()[f"advocacy:{referral_id}"] == person
    # Nobody else became somebody else for it, and a stranger among them is still a stranger.
    after = world.ledger.persons()
    assert {i: after[i] for i in before if i in after} == {i: p for i, p in before.items() if i in after}
    newcomer = student(world)
    world.submit(newcomer)
    world.settle()
    assert world.candidate(newcomer)["id"] != typed_in["id"]
    assert refreshed(world)[f"advocacy:{referral_id}"] == person
