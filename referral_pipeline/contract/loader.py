"""From the file to a contract, or to every reason why it is refused.

Belongs here: finding the file, overriding URLs, and putting pydantic's errors into words. Does not belong here: the
rules themselves (`sections`, `rules`), secrets and live systems (`secrets`, and `check` of the command line).
"""

from __future__ import annotations

import types
from collections.abc import Mapping
from enum import Enum
from typing import Annotated, Any, Literal, Union, cast, get_args, get_origin

from pydantic import BaseModel, TypeAdapter, ValidationError
from pydantic.fields import FieldInfo
from pydantic_core import ErrorDetails

from referral_pipeline.contract.models import Contract
from referral_pipeline.contract.problems import ContractError, Problem, close_match, listed, one_line, shown
from referral_pipeline.contract.rules import problems_in
from referral_pipeline.contract.scaffold import sandbox_contract
from referral_pipeline.contract.yaml_reader import read_yaml
from referral_pipeline.settings import PREFIX, Settings

_OVERRIDES = tuple(
    (side, url, f"{side}_{url}") for side in ("advocacy", "ats", "crm") for url in ("base_url", "auth_url")
)


def load_contract(settings: Settings) -> Contract:
    """The contract of this home, with the URL overrides of the environment.

    Without a file the embedded contract of the local sandbox holds, unless the settings name a file.

    Raises:
        ContractError: the file is missing or unreadable, or the contract is refused; holds all problems.
    """
    overrides = {attribute: getattr(settings, attribute) for _, _, attribute in _OVERRIDES}
    return parse_contract(
        contract_text(settings),
        overrides={name: url for name, url in overrides.items() if url},
        name=settings.config_path.name,
    )


def is_of_sandbox(settings: Settings) -> bool:
    """Whether the embedded contract of the local sandbox holds: there is no file, and the settings name none."""
    return settings.config is None and not settings.config_path.exists()


def contract_text(settings: Settings) -> str:
    """The text of the contract, as `load_contract` reads it.

    Raises:
        ContractError: the file that the settings name is missing, or cannot be read as UTF-8.
    """
    if is_of_sandbox(settings):
        return sandbox_contract()
    path = settings.config_path
    try:
        return path.read_text(encoding="utf-8-sig")
    except FileNotFoundError:
        problem, mend = (
            "found no such file; allowed: a contract",
            f"Mend {PREFIX}CONFIG, or run `referral-pipeline init`",
        )
    except UnicodeDecodeError:
        problem, mend = "found bytes that are not UTF-8; allowed: UTF-8 text", "Save the file as UTF-8"
    except OSError as error:
        problem, mend = f"cannot be read ({error.strerror})", "Mend the file's permissions or its name"
    raise ContractError([Problem(path.name, problem, mend)])


def parse_contract(
    text: str, *, overrides: Mapping[str, str] | None = None, name: str = "integration.yaml"
) -> Contract:
    """The contract that a text says.

    Args:
        text: YAML.
        overrides: URLs by the name of their setting ("ats_base_url"), which replace those of the text.
        name: the file's name, for problems of the file as a whole.

    Raises:
        ContractError: holds all problems, each naming its key.
    """
    raw, unreadable = read_yaml(text, name=name)
    if not isinstance(raw, dict):
        shape = Problem(name, f"found {shown(raw)}; allowed: a section of keys", "Run `referral-pipeline init`")
        raise ContractError(unreadable or [shape])
    contract, problems = _judge(dict(raw), overrides or {})
    told = {problem.key for problem in unreadable}  # of what could not be read nothing more is to be said
    problems = [*unreadable, *(problem for problem in problems if problem.key not in told)]
    if problems or contract is None:
        raise ContractError(_in_order(problems))
    return contract


def _judge(data: dict[str, Any], overrides: Mapping[str, str]) -> tuple[Contract | None, list[Problem]]:
    """The contract of these values, or what is wrong with them."""
    overridden = _override(data, overrides)
    try:
        return Contract.model_validate(data), []
    except ContractError as error:
        return None, error.problems
    except ValidationError as error:
        values = [_explain(detail, overridden) for detail in error.errors(include_url=False) if not _echoes(detail)]
        return None, [*values, *problems_in(_valid_sections(data, error))]


def _override(data: dict[str, Any], overrides: Mapping[str, str]) -> dict[str, str]:
    """Put the overriding URLs in place. Returns the variable's name by the key that it replaced."""
    replaced: dict[str, str] = {}
    for side, url, attribute in _OVERRIDES:
        section = data.get(side)
        if attribute in overrides and isinstance(section, dict):
            data[side] = {**section, url: overrides[attribute]}
            replaced[f"{side}.{url}"] = PREFIX + attribute.upper()
    return replaced


def _valid_sections(data: Mapping[str, Any], error: ValidationError) -> dict[str, Any]:
    """The sections that are right in themselves, so that the rules over them can still be looked at."""
    wrong = {detail["loc"][0] for detail in error.errors(include_url=False, include_input=False) if detail["loc"]}
    sections: dict[str, Any] = {}
    for name, info in Contract.model_fields.items():
        if name in wrong:
            continue
        if name in data:
            sections[name] = TypeAdapter[Any](cast(Any, info.annotation)).validate_python(data[name])
        else:
            sections[name] = info.get_default(call_default_factory=True)
    return sections


def _in_order(problems: list[Problem]) -> list[Problem]:
    """Problems in the order of the contract's sections, each said once."""
    order = {name: place for place, name in enumerate(Contract.model_fields)}
    unique = list(dict.fromkeys(problems))
    return sorted(unique, key=lambda problem: order.get(problem.key.split(".")[0].split("[")[0], len(order)))


# ---------------------------------------------------------------- pydantic's errors in words


def _echoes(detail: ErrorDetails) -> bool:
    """Whether a list is called too short only because pydantic did not count its wrong entries, each told already."""
    least = (detail.get("ctx") or {}).get("min_length")
    return detail["type"] == "too_short" and least is not None and len(detail["input"]) >= least


def _explain(detail: ErrorDetails, overridden: Mapping[str, str]) -> Problem:
    location, owner, info = _field_at(detail["loc"])
    key = _dotted(location)
    context = detail.get("ctx") or {}
    match detail["type"]:
        case "extra_forbidden":
            allowed = _keys_of(owner) if owner else []
            meant = close_match(str(location[-1]), allowed)
            mend = f"Did you mean {meant}?" if meant else "Remove it, or mend its name"
            return Problem(key, f"found an unknown key; allowed here: {listed(allowed)}", mend)
        case "missing":
            return Problem(key, f"found nothing; allowed: {_allowed(info)}", _add(str(location[-1]), info))
        case "model_attributes_type" | "union_tag_not_found" | "union_tag_invalid" if info and (
            kinds := _kinds_in(info.annotation)
        ):
            if not isinstance(detail["input"], dict):
                problem = f"found {shown(detail['input'])}; allowed: a section with type, one of {listed(kinds)}"
                return Problem(key, one_line(problem), f"Write {{type: {next(iter(kinds))}}}")
            meant = close_match(context.get("tag"), list(kinds))
            found = shown(context["tag"]) if "tag" in context else "nothing"
            blamed, problem = f"{key}.type", f"found {found}; allowed: one of {listed(kinds)}"
            mend = f"Did you mean {meant}?" if meant else f"Write type: {next(iter(kinds))}"
        case "refused":
            blamed = f"{key}.{context['key']}" if "key" in context else key
            problem, mend = str(context["problem"]), str(context["mend"])
        case _:
            blamed = key
            private = bool(info and isinstance(info.json_schema_extra, dict) and info.json_schema_extra.get("private"))
            value = detail["input"]
            problem = f"found {shown(value, private=private)}; allowed: {_allowed(info)}"
            meant = close_match(value, _words(info.annotation)) if info else None
            mend = f"Did you mean {meant}?" if meant else _example(str(location[-1]), info)
    if blamed in overridden:
        mend = f"It comes from {overridden[blamed]}: mend or unset that variable"
    return Problem(blamed, one_line(problem), one_line(mend))


def _dotted(location: tuple[int | str, ...]) -> str:
    text = ""
    for part in location:
        text += f"[{part}]" if isinstance(part, int) else f".{part}" if text else part
    return one_line(text)


def _field_at(
    location: tuple[int | str, ...],
) -> tuple[tuple[int | str, ...], type[BaseModel] | None, FieldInfo | None]:
    """The location as the file has it, and the innermost section and field that it leads to.

    Where a section is one of several kinds, pydantic puts the kind's name in the location; the file has no such key.
    """
    model: type[BaseModel] | None = Contract
    owner: type[BaseModel] | None = None
    info: FieldInfo | None = None
    kinds: dict[str, type[BaseModel]] = {}
    in_file: list[int | str] = []
    for part in location:
        if isinstance(part, str) and part in kinds:
            model, kinds = kinds[part], {}
            continue
        in_file.append(part)
        if isinstance(part, int) or model is None:
            continue
        fields = {field.alias or name: field for name, field in model.model_fields.items()}
        owner, info = model, fields.get(part)
        model = _model_in(info.annotation) if info else None
        kinds = _kinds_in(info.annotation) if info else {}
    return tuple(in_file), owner, info


def _kinds_in(annotation: Any) -> dict[str, type[BaseModel]]:
    """The sections that a field chooses from by their `type`."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel) and "type" in annotation.model_fields:
        return dict.fromkeys(_words(annotation.model_fields["type"].annotation), annotation)
    return {kind: model for inner in get_args(annotation) for kind, model in _kinds_in(inner).items()}


def _model_in(annotation: Any) -> type[BaseModel] | None:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    if get_origin(annotation) in (Annotated, Union, types.UnionType, tuple):
        return next((model for model in map(_model_in, get_args(annotation)) if model), None)
    return None


def _words(annotation: Any) -> list[str]:
    """The closed list of words that a field takes, if it takes one."""
    if get_origin(annotation) is Literal:
        return [str(word) for word in get_args(annotation)]
    if isinstance(annotation, type) and issubclass(annotation, Enum):
        return [str(word.value) for word in annotation]
    if annotation is bool:
        return ["on", "off"]
    return [word for inner in get_args(annotation) for word in _words(inner)]


def _keys_of(model: type[BaseModel]) -> list[str]:
    return [field.alias or name for name, field in model.model_fields.items()]


def _allowed(info: FieldInfo | None) -> str:
    if info is None:
        return "what the section says"
    model = _model_in(info.annotation)
    if info.description:
        return info.description
    return f"a section with {listed(_keys_of(model))}" if model else "a value of its kind"


def _example(key: str, info: FieldInfo | None) -> str:
    if info and info.examples:
        return f"Write it like {key}: {info.examples[0]}"
    words = _words(info.annotation) if info else []
    return f"Write {key}: {words[0]}" if words else "Write a value of the kind that is allowed"


def _add(key: str, info: FieldInfo | None) -> str:
    return f"Add {key}, like {key}: {info.examples[0]}" if info and info.examples else f"Add {key}"
