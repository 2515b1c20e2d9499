"""Who a record is, from its neighbours only.

Belongs here: resolving the records that may be the same person as one record, by the same rules as the whole programme
is, and remembering the outcome. Does not belong here: gathering them (surroundings), the rules (identity.resolve),
writes to a system.

Records that share no key directly or through others cannot influence each other, so resolving one neighbourhood gives
what resolving everything would. Candidates of the ATS are read live: their names decide, and recruiters change them.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace

from referral_pipeline.connectors.protocols import AtsConnector
from referral_pipeline.connectors.records import AtsCandidate, Referral
from referral_pipeline.contract.models import Contract
from referral_pipeline.identity.admission import candidate_record, referral_record, unfit_fields
from referral_pipeline.identity.decisions import constraints_of, record_aliases
from referral_pipeline.identity.resolve import Record, resolve, still_binds
from referral_pipeline.ledger.store import IdentityKey, Ledger, Link, MirrorRow
from referral_pipeline.privacy.crypto import keyed_hash
from referral_pipeline.sync.lane.mirror import Fresh, Mirror
from referral_pipeline.sync.lane.surroundings import Surroundings, Surveyor


@dataclass(frozen=True)
class Neighbourhood:
    """Records that may be one person, resolved. Personal data inside.

    `person_of` is by record id ("advocacy:R1"), `keys` the keyed hashes of all contact details, `hashes_of` those of
    each referral, `unknown_candidates` candidates that the ATS does not show.
    """

    referrals: Mapping[str, Referral] = field(repr=False)
    candidates: Mapping[str, AtsCandidate] = field(repr=False)
    links: Mapping[str, Link]
    person_of: Mapping[str, str]
    changed_persons: frozenset[str]
    keys: frozenset[str] = field(repr=False)
    hashes_of: Mapping[str, frozenset[str]] = field(repr=False)
    aliases: Mapping[str, str]
    known: frozenset[tuple[str, str, str]] = field(repr=False)
    """What the ledger held of these records: record, keyed hash, person."""
    decided: frozenset[str]
    """Records that decisions in force name."""
    unfit: Mapping[str, str]
    """Referrals that cannot be written, and the first field for which they cannot."""
    to_keep: Sequence[MirrorRow] = field(repr=False)
    """Rows of events that are newer than what the mirror holds."""

    def members(self, person_id: str, system: str) -> list[str]:
        """The ids of this system's records that are this person."""
        prefix = f"{system}:"
        return sorted(i.removeprefix(prefix) for i, p in self.person_of.items() if p == person_id and prefix in i)


class People:
    """Resolves neighbourhoods. Safe for threads; the caller holds the lock of the keys.

    Args:
        ledger: keys, links, aliases.
        mirror: the referrals.
        ats: the candidates.
        contract: systems and matching rules.
        hash_key: for keyed hashes.
    """

    def __init__(self, *, ledger: Ledger, mirror: Mirror, ats: AtsConnector, contract: Contract, hash_key: str) -> None:
        self._ledger = ledger
        self._mirror = mirror
        self._ats = ats
        self._contract = contract
        self._hash_key = hash_key.encode()
        self._advocacy = f"{contract.advocacy.connector}:"
        self._ats_prefix = f"{contract.ats.connector}:"
        countries = contract.privacy.allowed_countries
        self._surveyor = Surveyor(
            ledger=ledger, mirror=mirror, ats=ats, advocacy=self._advocacy, ats_prefix=self._ats_prefix
        )
        self._default_country = countries[0] if len(countries) == 1 else None

    def hashes_of(self, referral: Referral) -> frozenset[str]:
        """The keyed hashes of a referral's contact details."""
        return self._hashes(referral_record(referral, self._contract.advocacy.connector))

    def hashes_of_candidate(self, candidate: AtsCandidate) -> frozenset[str]:
        """The keyed hashes of a candidate's contact details."""
        return self._hashes(self._candidate_record(candidate))

    def keys_of(self, referral: Referral) -> list[IdentityKey]:
        """A referral's contact details as keys, of no certain person."""
        return self._keys(referral_record(referral, self._contract.advocacy.connector), "")

    def around(
        self,
        referral_ids: Iterable[str],
        *,
        candidates: Iterable[AtsCandidate] = (),
        fresh: Mapping[str, Fresh] | None = None,
    ) -> Neighbourhood:
        """Gather and resolve what surrounds these referrals (and candidates read a moment ago). Saves nothing.

        `fresh` are rows that events brought: they stand where the mirror has nothing newer.

        Raises:
            TransientFailure, PermanentFailure: candidates had to be read, and could not.
        """
        asked = self._mirror.referrals(referral_ids, fresh=fresh)
        referrals, problems = asked.read, asked.problems
        live = {c.id: c for c in candidates}
        hashes: set[str] = set()
        for referral in referrals.values():
            hashes |= self.hashes_of(referral)
        for candidate in live.values():
            hashes |= self.hashes_of_candidate(candidate)
        record_ids = {f"{self._advocacy}{i}" for i in referral_ids} | {f"{self._ats_prefix}{i}" for i in live}
        near = self._surveyor.around(record_ids, hashes, referrals=referrals.values(), candidates=live.values())
        live |= near.candidates
        record_ids, links = near.record_ids, near.links
        previous = {f"{self._advocacy}{link.referral_id}": link.person_id for link in links.values()}
        previous |= {key.record_id: key.person_id for key in near.known.values()}
        aliases = self._aliases(near)
        more = {i.removeprefix(self._advocacy) for i in record_ids if i.startswith(self._advocacy)} - referrals.keys()
        if more:
            further = self._mirror.referrals(more)
            referrals |= further.read
            problems |= further.problems
        candidate_ids = {i.removeprefix(self._ats_prefix) for i in record_ids if i.startswith(self._ats_prefix)}
        candidate_ids = {aliases.get(i, i) for i in candidate_ids} - live.keys()
        if candidate_ids:
            live |= self._ats.get_candidates(sorted(candidate_ids))
        unfit = {i: problem.field for i, problem in problems.items()}
        for referral in referrals.values():
            first = next(unfit_fields(referral, has_advocate=True), None)
            if first is not None:
                unfit[referral.id] = first.field
        fit = {i: r for i, r in referrals.items() if i not in unfit}
        found = self._resolved(fit, live, near, previous, aliases, candidate_ids)
        return replace(found, unfit=unfit, to_keep=asked.to_keep)

    def _aliases(self, near: Surroundings) -> dict[str, str]:
        """Where those of these candidates live on that were merged."""
        if not near.links and not near.decisions:
            return {}
        decided = (i for one in near.decisions for i in (*one.left, *one.right))
        ids = {i.removeprefix(self._ats_prefix) for i in (*near.record_ids, *decided) if i.startswith(self._ats_prefix)}
        ids |= {link.candidate_id for link in near.links.values() if link.candidate_id}
        return self._ledger.aliases_of(self._ats.system, ids)

    def _resolved(
        self,
        referrals: Mapping[str, Referral],
        candidates: Mapping[str, AtsCandidate],
        near: Surroundings,
        previous: Mapping[str, str],
        aliases: Mapping[str, str],
        read: Iterable[str],
    ) -> Neighbourhood:
        links = near.links
        records = {
            f"{self._advocacy}{r.id}": referral_record(r, self._contract.advocacy.connector) for r in referrals.values()
        }
        records |= {f"{self._ats_prefix}{c.id}": self._candidate_record(c) for c in candidates.values()}
        must_link = [
            (f"{self._advocacy}{x.referral_id}", f"{self._ats_prefix}{aliases.get(x.candidate_id, x.candidate_id)}")
            for x in links.values()
            if x.candidate_id
        ]
        decided = constraints_of(
            near.decisions, existing=records.keys(), aliases=record_aliases(self._ats.system, aliases)
        )
        dedupe = self._contract.rules.dedupe
        resolution = resolve(
            list(records.values()),
            previous=previous,
            must_link=[
                *(pair for pair in must_link if still_binds(records.get(pair[0]), records.get(pair[1]))),
                *decided.must_link,
            ],
            cannot_link=decided.cannot_link,
            shared_mailbox_limit=dedupe.shared_mailbox_limit,
            match_on=dedupe.match_on,
        )
        person_of = dict(resolution.person_of)
        if near.left_out:
            # Who is left out may hold strangers together: of whom a part was seen, nothing is said.
            own = {p for i in near.asked for p in (person_of.get(i), previous.get(i)) if p}
            strangers = {i for i, p in person_of.items() if p not in own and previous.get(i, p) not in own}
            person_of |= {i: previous[i] for i in strangers if i in previous}
        # A linked candidate that the ATS does not show (fresh, or gone) stays with its referral.
        apart = set(decided.cannot_link)
        for link in links.values():
            record_id = f"{self._advocacy}{link.referral_id}"
            if link.candidate_id and record_id in person_of:
                now = f"{self._ats_prefix}{aliases.get(link.candidate_id, link.candidate_id)}"
                if (min(record_id, now), max(record_id, now)) not in apart:
                    person_of.setdefault(now, person_of[record_id])
        for candidate_id in read:
            record_id = f"{self._ats_prefix}{candidate_id}"
            if record_id in previous:
                person_of.setdefault(record_id, previous[record_id])
        hashes = {record_id: self._hashes(record) for record_id, record in records.items()}
        return Neighbourhood(
            referrals=referrals,
            candidates=candidates,
            links=links,
            person_of=person_of,
            changed_persons=frozenset(
                p for i, p in person_of.items() if i in records and i in previous and previous[i] != p
            ),
            keys=frozenset(h for some in hashes.values() for h in some),
            hashes_of={
                i.removeprefix(self._advocacy): some for i, some in hashes.items() if i.startswith(self._advocacy)
            },
            aliases=aliases,
            known=frozenset((key.record_id, key.key_hash, key.person_id) for key in near.known.values()),
            decided=frozenset(i for pair in (*decided.must_link, *decided.cannot_link) for i in pair),
            unfit={},
            to_keep=(),
        )

    def remember(self, found: Neighbourhood, record_ids: Iterable[str]) -> None:
        """Save the rows and keys of these records ("advocacy:R1"), of all whose person changed or was decided about.

        The caller holds their locks; it is written before they are let go.
        """
        held: dict[str, set[tuple[str, str]]] = {}
        for record_id, key_hash, person_id in found.known:
            held.setdefault(record_id, set()).add((key_hash, person_id))
        moved = {i for i, person in found.person_of.items() if any(p != person for _, p in held.get(i, ()))}
        added: list[IdentityKey] = []
        replaced: list[IdentityKey] = []
        changed: set[str] = set()
        for record_id in sorted((set(record_ids) | moved | found.decided) & found.person_of.keys()):
            record = self._record(found, record_id)
            if record is None:
                continue
            keys = self._keys(record, found.person_of[record_id])
            if record_id not in held:
                added.extend(keys)
            elif held[record_id] != {(key.key_hash, key.person_id) for key in keys}:
                changed.add(record_id)  # with no key at all when its last address was removed
                replaced.extend(keys)
        if any(i.startswith(self._ats_prefix) for i in (*changed, *(key.record_id for key in added))):
            # Whose a candidate is, the search asks in another thread, which sees only what is written.
            if changed:
                self._ledger.save_identity_keys(replaced, all_keys_of=changed, durable=False)
            if added:
                self._ledger.save_identity_keys(added, durable=False)
            replaced, added, changed = [], [], set()
        # What is written next (the intents of a create, a link) carries these along.
        if changed:
            self._ledger.remember_soon((), replaced, all_keys_of=changed)
        self._ledger.remember_soon(found.to_keep, added)

    def remember_candidate(self, candidate_id: str, referral: Referral, person_id: str) -> None:
        """Save a candidate that was just made from a referral: its contact details are the referral's."""
        made = referral_record(referral, self._contract.advocacy.connector)
        record_id = f"{self._ats_prefix}{candidate_id}"
        record = Record(record_id, made.email_keys, made.phone_keys, None, None, made.first_seen_at)
        self._ledger.save_identity_keys(self._keys(record, person_id))

    def person_of_candidate(self) -> Mapping[str, str]:
        """Who each ATS candidate is, by candidate id, as a view of the ledger."""
        return _PersonOfCandidate(self._ledger, self._ats_prefix)

    def _record(self, found: Neighbourhood, record_id: str) -> Record | None:
        if record_id.startswith(self._advocacy):
            referral = found.referrals.get(record_id.removeprefix(self._advocacy))
            return referral_record(referral, self._contract.advocacy.connector) if referral is not None else None
        candidate = found.candidates.get(record_id.removeprefix(self._ats_prefix))
        return self._candidate_record(candidate) if candidate is not None else None

    def _candidate_record(self, candidate: AtsCandidate) -> Record:
        return candidate_record(candidate, self._contract.ats.connector, default_country=self._default_country)

    def _hashes(self, record: Record) -> frozenset[str]:
        return frozenset(keyed_hash(key, self._hash_key) for kind in ("email", "phone") for key in record.keys(kind))

    def _keys(self, record: Record, person_id: str) -> list[IdentityKey]:
        return [
            IdentityKey(
                key_hash=keyed_hash(key, self._hash_key),
                kind=kind,
                system=record.record_id.partition(":")[0],
                record_id=record.record_id,
                person_id=person_id,
            )
            for kind in ("email", "phone")
            for key in record.keys(kind)
        ]


class _PersonOfCandidate(Mapping[str, str]):
    """Candidate id -> person id, looked up in the ledger when asked."""

    def __init__(self, ledger: Ledger, prefix: str) -> None:
        self._ledger = ledger
        self._prefix = prefix

    def __getitem__(self, candidate_id: str) -> str:
        keys = self._ledger.keys_of([f"{self._prefix}{candidate_id}"])
        if not keys:
            raise KeyError(candidate_id)
        return keys[0].person_id

    def __iter__(self) -> Iterator[str]:
        raise NotImplementedError("a view of the whole ledger is asked, not walked")

    def __len__(self) -> int:
        raise NotImplementedError("a view of the whole ledger is asked, not counted")
