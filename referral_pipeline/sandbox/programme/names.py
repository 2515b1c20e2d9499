"""Invented names, addresses and numbers.

Belongs here: pools, and the making of contact details that are well formed and reach nobody: mail domains reserved for
examples, telephone numbers that the regulators keep for fiction (US 555-01xx, the Bundesnetzagentur's and the ARCEP's
drama numbers). Does not belong here: who these people are.
"""

from __future__ import annotations

import unicodedata

FIRST = [
    "Robert",
    "William",
    "James",
    "Thomas",
    "Michael",
    "Daniel",
    "Alexander",
    "Christopher",
    "Benjamin",
    "Elizabeth",
    "Katherine",
    "Margaret",
    "Jennifer",
    "Susan",
    "Patricia",
    "Deborah",
    "Rebecca",
    "Victoria",
    "Samuel",
    "Anthony",
    "Joseph",
    "Edward",
    "Matthew",
    "Nicholas",
    "Olivia",
    "Emma",
    "Sophia",
    "Isabella",
    "Charlotte",
    "Amelia",
    "Harper",
    "Evelyn",
    "Abigail",
    "Emily",
    "Ella",
    "Grace",
    "Chloe",
    "Nora",
    "Hannah",
    "Lukas",
    "Felix",
    "Jonas",
    "Moritz",
    "Leonie",
    "Marie",
    "Johanna",
    "Clara",
    "Greta",
    "Ingrid",
    "Henrik",
    "Torben",
    "Annika",
    "Birgit",
    "Camille",
    "Antoine",
    "Mathieu",
    "Julien",
    "Sandrine",
    "Odile",
    "Manon",
    "Bastien",
    "Aisha",
    "Kwame",
    "Priya",
    "Rohan",
    "Mei",
    "Hiro",
    "Diego",
    "Lucia",
    "Mateo",
    "Valentina",
    "Omar",
    "Leila",
    "Tariq",
    "Zainab",
    "Ivan",
    "Olga",
    "Piotr",
    "Agata",
]

_ONSETS = [
    "B",
    "Br",
    "D",
    "Dr",
    "F",
    "Fl",
    "G",
    "Gr",
    "H",
    "K",
    "Kr",
    "L",
    "M",
    "N",
    "P",
    "Pr",
    "R",
    "S",
    "St",
    "T",
    "Tr",
    "V",
    "W",
    "Z",
    "Bl",
    "Ch",
    "Sch",
]
_MIDDLES = ["a", "e", "i", "o", "u", "au", "ei", "ie", "or", "er", "an", "en", "ar"]
_CODAS = [
    "ck",
    "ld",
    "ll",
    "m",
    "nd",
    "ng",
    "nn",
    "r",
    "rg",
    "rt",
    "s",
    "ss",
    "st",
    "th",
    "tt",
    "x",
    "lm",
    "rm",
    "lt",
    "rn",
]
_ENDINGS = ("", "er", "mann", "son", "ley", "ton", "feld", "berg", "ski", "ard", "ini", "well")

SHORT_FORMS = {
    "Robert": "Bob",
    "William": "Bill",
    "James": "Jim",
    "Thomas": "Tom",
    "Michael": "Mike",
    "Daniel": "Dan",
    "Alexander": "Alex",
    "Christopher": "Chris",
    "Benjamin": "Ben",
    "Elizabeth": "Liz",
    "Katherine": "Kate",
    "Samuel": "Sam",
}

UNICODE_NAMES = (
    ("José", "Núñez Ibarra", "José", "Núñez Ibarra"),
    ("Jürgen", "Müller-Lüdenscheid", "Juergen", "Mueller-Luedenscheid"),
    ("小明", "王", "小明", "王"),
    ("Zoë", "Brontë-Hale", "Zoe", "Bronte-Hale"),
    ("Søren", "Ærøskøbing", "Søren", "Ærøskøbing"),
    ("Łukasz", "Wiśniewski", "Lukasz", "Wisniewski"),
    ("さくら", "田中", "さくら", "田中"),
    ("Ünal", "Gökçe", "Ünal", "Gökçe"),
    ("Aïcha", "L'Étoile", "Aicha", "L'Etoile"),
    ("Bjørn", "Hårfagre", "Bjørn", "Hårfagre"),
)
"""First and last name as referred, then as a recruiter may have typed them."""

MAIL_DOMAINS = ("example.com", "example.net", "example.org", "mail.example.com", "post.example.net")
COUNTRIES = ("US", "US", "US", "DE", "DE", "FR")
FOREIGN_COUNTRIES = ("BR", "JP", "ZA", "KR", "AR", "NZ")

_US_AREAS = [
    "201",
    "202",
    "203",
    "205",
    "206",
    "207",
    "208",
    "209",
    "210",
    "212",
    "213",
    "214",
    "215",
    "216",
    "217",
    "218",
    "219",
    "224",
    "225",
    "228",
    "229",
    "231",
    "234",
    "239",
    "240",
    "248",
    "251",
    "252",
    "253",
    "254",
    "256",
    "260",
    "262",
    "267",
    "269",
    "270",
    "276",
    "281",
    "301",
    "302",
    "303",
    "304",
    "305",
    "307",
    "308",
    "309",
    "310",
    "312",
    "313",
    "314",
    "315",
    "316",
    "317",
    "318",
    "319",
    "320",
    "321",
    "323",
]
_DE_BLOCKS = ("3023125", "4066969", "6990009", "8999998")
_DIGITS_PER_DE_BLOCK = 1_000
_FR_BLOCKS = ("26191", "35301", "46571", "53649")
_DIGITS_PER_FR_BLOCK = 10_000


def last_name(number: int) -> str:
    """The name with this number. Two numbers may, rarely, give one name, as in life."""
    number, ending = divmod(number, len(_ENDINGS))
    number, coda = divmod(number, len(_CODAS))
    number, middle = divmod(number, len(_MIDDLES))
    extra, onset = divmod(number, len(_ONSETS))
    return _ONSETS[onset] + _MIDDLES[middle] + _CODAS[coda] + _ENDINGS[ending] + ("a" * extra)


LAST_NAMES = len(_ONSETS) * len(_MIDDLES) * len(_CODAS) * len(_ENDINGS)
"""How many numbers there are before names repeat."""


def phone(number: int, country: str) -> str:
    """The number in E.164; different numbers give different phones within a country.

    Raises:
        ValueError: The range for fiction is used up.
    """
    if country == "DE":
        block, rest = divmod(number, _DIGITS_PER_DE_BLOCK)
        if block < len(_DE_BLOCKS):
            return f"+49{_DE_BLOCKS[block]}{rest:03d}"
    elif country == "FR":
        block, rest = divmod(number, _DIGITS_PER_FR_BLOCK)
        if block < len(_FR_BLOCKS):
            return f"+33{_FR_BLOCKS[block]}{rest:04d}"
    else:
        area, rest = divmod(number, 100)
        if area < len(_US_AREAS):
            return f"+1{_US_AREAS[area]}55501{rest:02d}"
    raise ValueError("no telephone numbers for fiction are left")


def national(e164: str) -> str:
    """The same number as people of its country write it."""
    if e164.startswith("+49"):
        return f"0{e164[3:5]}/{e164[5:8]} {e164[8:]}"
    if e164.startswith("+33"):
        return "0" + " ".join((e164[3], e164[4:6], e164[6:8], e164[8:10], e164[10:]))
    return f"({e164[2:5]}) {e164[5:8]}-{e164[8:]}"


def spaced(e164: str) -> str:
    """The same number in international form, with the punctuation of a letterhead."""
    if e164.startswith("+49"):
        return f"+49 (0){e164[3:5]} {e164[5:]}"
    if e164.startswith("+33"):
        return f"+33 {e164[3]} {e164[4:6]} {e164[6:8]} {e164[8:10]} {e164[10:]}"
    return f"+1 {e164[2:5]}-{e164[5:8]}-{e164[8:]}"


def ascii_word(text: str) -> str:
    """Letters of `text` that fit a mail address, accents dropped; may be empty."""
    folded = unicodedata.normalize("NFKD", text).encode("ascii", "ignore").decode().lower()
    return "".join(letter for letter in folded if letter.isalnum())
