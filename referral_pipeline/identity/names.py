"""Whether two names can belong to one person.

Belongs here: the comparison of names. Does not belong here: folding of words (folding), the table of known short forms
(short_forms), what follows from a comparison (resolve).

The rule (DESIGN, matching): names do not contradict when they are alike after folding, or differ by initials or by a
known short form. Folding levels case, accents, German and Nordic spellings (Müller, Mueller, Muller), hyphens,
particles (van der), titles, and first and last name swapped; names are the same when spelling and order are too. What
is missing, or written in another script, cannot contradict; it does not agree either. A misspelling contradicts: two
people of one household look just like it.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Callable
from dataclasses import dataclass
from enum import IntEnum
from functools import cached_property, lru_cache

from referral_pipeline.identity.folding import folded_words
from referral_pipeline.identity.short_forms import are_forms_of_one_name

Words = tuple[str, ...]

_REMEMBERED = 4096
"""Names kept in memory: the records of one person, and of one family, come one after another."""

_TITLES = frozenset(
    {"dr", "prof", "mr", "mrs", "ms", "miss", "herr", "frau", "dipl", "ing", "mag", "phd", "mba", "msc"}
)
_PARTICLES = frozenset(
    {"von", "van", "der", "den", "de", "del", "della", "di", "da", "do", "dos", "das", "la", "le", "zu", "bin", "ibn"}
    | {"al", "el", "ten", "ter", "af", "av", "y", "e"}
)
_GENERATIONS = frozenset({"jr", "sr", "ii", "iii", "iv"})


class Likeness(IntEnum):
    """How two names relate; the order is that of the evidence for one person."""

    DIFFERENT = 0  # they contradict
    UNKNOWN = 1  # one is missing, or the scripts differ: nothing to compare
    COMPATIBLE = 2  # initials, a known short form, a part left out
    SAME = 3  # equal but for case and accents, with a first and a last name


@dataclass(frozen=True, repr=False)
class Name:
    """A name as a system holds it, either part possibly missing. Personal data: `repr` does not show it."""

    first: str | None
    last: str | None

    def __repr__(self) -> str:
        return f"Name(first={'given' if self.first else 'missing'}, last={'given' if self.last else 'missing'})"

    @cached_property
    def given(self) -> Words:
        """The folded parts of the first name."""
        return _kept(folded_words(self.first), _TITLES)

    @cached_property
    def family(self) -> Words:
        """The folded parts of the last name, without particles and generation."""
        return _family_words(self.last)

    @cached_property
    def generation(self) -> str | None:
        """Jr, Sr, II, III: what tells father and son apart."""
        found = [part for part in folded_words(self.last)[1:] if part in _GENERATIONS]
        return found[-1] if found else None

    @property
    def is_missing(self) -> bool:
        """Whether there is nothing to compare."""
        return not self.given and not self.family

    @property
    def is_full(self) -> bool:
        """Whether first and last name are there, be it as initials."""
        return bool(self.given) and bool(self.family)

    @cached_property
    def agreement_key(self) -> str:
        """Equal for two names that are alike after folding: in any known spelling, in either order."""
        parts = sorted(("".join(self.given), "".join(self.family)))
        return "|".join((*parts, self.generation or ""))

    @cached_property
    def exact_key(self) -> str:
        """Equal for two names that are the same but for case, accents, spaces, titles and particles."""
        given = _kept(folded_words(self.first, spellings=False), _TITLES)
        return "|".join(("".join(given), "".join(_family_words(self.last, spellings=False)), self.generation or ""))


@lru_cache(maxsize=_REMEMBERED)
def name_of(first: str | None, last: str | None) -> Name:
    """The name of these two parts, folded once for all records that carry it."""
    return Name(first, last)


def likeness(a: Name, b: Name) -> Likeness:
    """Compare two names. Symmetric."""
    if a.is_missing or b.is_missing:
        return Likeness.UNKNOWN
    if a.generation and b.generation and a.generation != b.generation:
        return Likeness.DIFFERENT
    if a.agreement_key == b.agreement_key:
        # Another spelling and swapped fields are alike, not the same: Michael and Michal, a father and a son.
        return Likeness.SAME if a.is_full and a.exact_key == b.exact_key else Likeness.COMPATIBLE
    if _scripts(a).isdisjoint(_scripts(b)):
        return Likeness.UNKNOWN
    if _whole(a) == _whole(b) or _is_written_together(a, b) or _is_written_together(b, a):
        return Likeness.COMPATIBLE
    direct = _both(_given(a.given, b.given), _family(a.family, b.family))
    return min(Likeness.COMPATIBLE, max(direct, _swapped(a, b)))


def names_contradict(a: Name, b: Name) -> bool:
    """Whether these are clearly names of two people."""
    return likeness(a, b) is Likeness.DIFFERENT


def names_equal(a: Name, b: Name) -> bool:
    """Whether the full names are the same: the stronger test that a shared mailbox asks for."""
    return likeness(a, b) is Likeness.SAME


def _family_words(text: str | None, *, spellings: bool = True) -> Words:
    words = folded_words(text, spellings=spellings)
    for dropped in (_TITLES, _GENERATIONS, _PARTICLES):
        words = _kept(words, dropped)
    return words


def _kept(words: Words, dropped: frozenset[str]) -> Words:
    """Without the words in `dropped`, unless nothing would be left: Li De is a name."""
    return tuple(word for word in words if word not in dropped) or words


# ---------------------------------------------------------------- comparing


def _both(first: Likeness, last: Likeness) -> Likeness:
    if Likeness.DIFFERENT in (first, last):
        return Likeness.DIFFERENT
    return max(first, last) if Likeness.UNKNOWN in (first, last) else min(first, last)


def _given(a: Words, b: Words) -> Likeness:
    return _part(a, b, lambda x, y: are_forms_of_one_name(x, y) or _is_initial(x, y))


def _family(a: Words, b: Words) -> Likeness:
    return _part(a, b, _is_initial)


def _swapped(a: Name, b: Name) -> Likeness:
    """First and last name in each other's field. One of them must be equal, and initials, which fit many, do not do."""
    if not (a.is_full and b.is_full):
        return Likeness.DIFFERENT
    parts = (_part(a.given, b.family, are_forms_of_one_name), _part(a.family, b.given, are_forms_of_one_name))
    return _both(*parts) if Likeness.SAME in parts else Likeness.DIFFERENT


def _part(a: Words, b: Words, alike: Callable[[str, str], bool]) -> Likeness:
    """Compare one part: equal, or every word of the shorter has its counterpart in the longer."""
    if not a or not b:
        return Likeness.UNKNOWN
    if "".join(a) == "".join(b):
        return Likeness.SAME
    shorter, longer = sorted((a, b), key=lambda words: (len(words), words))
    if len(shorter) == 1 and len(longer) > 1 and shorter[0] == "".join(word[0] for word in longer):
        return Likeness.COMPATIBLE  # JP for Jean-Paul
    left = list(longer)
    for same in (str.__eq__, alike):  # equal words first, so that an initial does not use one up
        missing: list[str] = []
        for word in shorter:
            match = next((other for other in left if same(word, other)), None)
            missing.append(word) if match is None else left.remove(match)
        shorter = tuple(missing)
    return Likeness.DIFFERENT if shorter else Likeness.COMPATIBLE


def _is_initial(a: str, b: str) -> bool:
    letter, word = sorted((a, b), key=len)
    # Only scripts with capitals abbreviate so: one Chinese character is a whole name.
    return len(letter) == 1 and word.startswith(letter) and letter.upper() != letter


def _whole(name: Name) -> list[str]:
    """All parts in any order: the whole name in one field, or split elsewhere."""
    return sorted((*name.given, *name.family))


def _is_written_together(a: Name, b: Name) -> bool:
    """Whether `a` holds in one field, in either order and without a space, what `b` holds in two (CJK names)."""
    if a.is_full or not b.is_full:
        return False
    given, family = "".join(b.given), "".join(b.family)
    return "".join(a.given or a.family) in (given + family, family + given)


def _scripts(name: Name) -> frozenset[str]:
    text = "".join((*name.given, *name.family))
    if text.isascii():
        return frozenset({"LATIN"})
    return frozenset(unicodedata.name(character, "UNKNOWN").split()[0] for character in text if character.isalpha())
