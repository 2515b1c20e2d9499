"""What a connector reads of each answer: types, what must be there, and which fields are words of business.

Belongs here: the record of it, and making it from a connector's pydantic models. Does not belong here: a vendor's own
(its `*_shapes` module), learning what answers really hold (`shapes`), comparing the two (monitoring.drift).

A path names a place in an answer: `[]` stands for the entries of a list, `*` for the keys of an object whose keys are
data (custom fields), "" for the whole answer. `data[].candidate.email` is the address in each row below `data`.
"""

from __future__ import annotations

import types
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Annotated, Any, Union, cast, get_args, get_origin

from pydantic import BaseModel, BeforeValidator

from referral_pipeline.connectors.values import parse_day, parse_id, parse_instant

TEXT, NUMBER, FLAG, OBJECT, LIST, NULL, ABSENT = "text", "number", "flag", "object", "list", "null", "absent"
"""The types of JSON, and what is not there. A whole number is a number: JSON knows no other."""

_READS: Mapping[Callable[..., Any], frozenset[str]] = {
    parse_id: frozenset({TEXT, NUMBER}),
    parse_instant: frozenset({TEXT, NUMBER}),
    parse_day: frozenset({TEXT}),
}
_PLAIN: Mapping[Any, frozenset[str]] = {
    str: frozenset({TEXT}),
    int: frozenset({NUMBER}),
    float: frozenset({NUMBER}),
    bool: frozenset({FLAG}),
}


@dataclass(frozen=True, slots=True)
class Field:
    """One field that a connector reads.

    Attributes:
        types: the types that it can read; empty for any.
        required: a row without it (or with null, unless `nullable`) is set aside.
        nullable: null is an answer.
        is_word: its values are words of business (a status, a stage), fit to be kept. Never of free text, names or ids.
        words: all that the connector understands; None where the words are the customer's own, such as stages.
        is_map: an object whose keys are data.
    """

    types: frozenset[str] = frozenset()
    required: bool = False
    nullable: bool = True
    is_word: bool = False
    words: frozenset[str] | None = None
    is_map: bool = False


Fields = Mapping[str, Field]
"""By path."""


@dataclass(frozen=True)
class Shapes:
    """What a connector reads.

    Attributes:
        operations: by operation, the fields by path. An operation that is not here is learned all the same.
        maps: names of objects whose keys are data, wherever they are met.
    """

    operations: Mapping[str, Fields] = field(default_factory=dict[str, Fields])
    maps: frozenset[str] = frozenset()


def fields_of(
    model: type[BaseModel], at: str = "", *, words: Mapping[str, frozenset[str] | None] | None = None
) -> dict[str, Field]:
    """What a pydantic model reads, by path below `at`.

    Args:
        model: of one record.
        at: where the record stands in the answer, such as "[]" or "data[]"; "" for the answer itself.
        words: the fields of it (with a dot for inner ones) whose values are words of business, each with all that the
            connector understands, or None where the words are the customer's own.
    """
    found: dict[str, Field] = {at: Field(frozenset({OBJECT}), nullable=False)} if at else {}
    for name, info in model.model_fields.items():
        alias = info.validation_alias if isinstance(info.validation_alias, str) else info.alias
        path = _below(at, alias or name)
        found |= _of(path, info.annotation, info.metadata, required=info.is_required())
    for name, vocabulary in (words or {}).items():
        path = _below(at, name)
        found[path] = replace(found[path], is_word=True, words=vocabulary)
    return found


def _below(at: str, name: str) -> str:
    return f"{at}.{name}" if at else name


def _of(path: str, annotation: Any, metadata: Iterable[Any], *, required: bool) -> dict[str, Field]:
    before = [one.func for one in metadata if isinstance(one, BeforeValidator)]
    nullable = False
    while True:
        origin = get_origin(annotation)
        if origin is Annotated:
            annotation, *more = get_args(annotation)
            before += [one.func for one in more if isinstance(one, BeforeValidator)]
        elif origin in (Union, types.UnionType):
            choices = [one for one in get_args(annotation) if one is not types.NoneType]
            nullable |= len(choices) < len(get_args(annotation))
            if len(choices) != 1:
                return {path: Field(required=required, nullable=nullable)}  # several forms: any of them
            annotation = choices[0]
        else:
            break
    if before:
        reads = _READS.get(cast("Callable[..., Any]", before[-1]))
        if reads is not None:
            return {path: Field(reads, required, nullable)}
        nullable = True  # what a reader of its own makes of null is not known
    origin = get_origin(annotation) or annotation
    if isinstance(origin, type) and issubclass(origin, BaseModel) and not before:
        return {path: Field(frozenset({OBJECT}), required, nullable), **_inner(origin, path)}
    if origin in (list, tuple, set, frozenset):
        inner = next((one for one in get_args(annotation) if one is not Ellipsis), Any)
        entries = _of(f"{path}[]", inner, (), required=False)
        return {path: Field(frozenset({LIST}), required, nullable), **entries}
    if isinstance(origin, type) and issubclass(origin, Mapping):
        return {path: Field(frozenset({OBJECT}), required, nullable, is_map=True)}
    if before:
        return {path: Field(required=required)}
    return {path: Field(_PLAIN.get(origin, frozenset()), required, nullable or annotation is Any)}


def _inner(model: type[BaseModel], path: str) -> dict[str, Field]:
    return {inner: one for inner, one in fields_of(model, path).items() if inner != path}
