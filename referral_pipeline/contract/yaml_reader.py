"""Reads YAML into plain values, strictly: every key once, every value what it looks like.

Belongs here: the reading of text. Does not belong here: what the keys mean.

Why not `yaml.safe_load`: it keeps the last of two equal keys without a word, reads the country NO as false, 010 as 8
and 12:30 as 750. Here only true and false are booleans (on and off stay words, which the contract's switches read),
numbers are decimal, keys are text as written, and aliases are refused.
"""

from __future__ import annotations

import re
from typing import Any

import yaml

from referral_pipeline.contract.problems import Problem, one_line

_TAG = "tag:yaml.org,2002:"
_PLAIN_TAGS = {_TAG + kind for kind in ("str", "int", "float", "bool", "null", "timestamp", "value", "merge")}
_INTEGER = re.compile(r"[-+]?(0|[1-9][0-9_]*)")
_NUMBER = re.compile(r"[-+]?([0-9][0-9_]*\.[0-9]*|\.[0-9]+)([eE][-+]?[0-9]+)?|[-+]?[0-9]+[eE][-+]?[0-9]+")


def read_yaml(text: str, *, name: str) -> tuple[Any, list[Problem]]:
    """The value that the text says, and what is wrong with the text itself.

    A duplicate key is a problem and its first value is kept, so that the rest can still be looked at. When the text
    cannot be read at all the value is None. `name` is the file's name, the key of problems that have no other.
    """
    problems: list[Problem] = []
    try:
        root = yaml.SafeLoader(text).get_single_node()
        if root is None:
            return None, [Problem(name, "found an empty file; allowed: a contract", "Run `referral-pipeline init`")]
        return _Builder(problems, name).build(root, ""), problems
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        where = f" at line {mark.line + 1}, column {mark.column + 1}" if mark else ""
        reason = one_line(error.problem or "it cannot be read")
    except yaml.YAMLError:
        where, reason = "", "it holds characters that YAML does not allow"
    except RecursionError:
        where, reason = "", "it is nested too deep, or refers to itself"
    return None, [
        *problems,
        Problem(name, f"is not valid YAML{where}: {reason}", "Mend the line, or start from `init`"),
    ]


class _Builder:
    """Builds plain values from YAML nodes and notes duplicate keys and values it cannot take."""

    def __init__(self, problems: list[Problem], name: str) -> None:
        self._problems = problems
        self._name = name
        self._seen: set[int] = set()

    def build(self, node: yaml.Node, path: str) -> Any:
        if isinstance(node, yaml.ScalarNode):
            return self._scalar(node, path)
        if id(node) in self._seen:
            self._note(path, "found an alias (*name); allowed: values written out", "Write the section out")
            return None
        self._seen.add(id(node))
        if isinstance(node, yaml.MappingNode):
            return self._mapping(node, path)
        if isinstance(node, yaml.SequenceNode):
            return [self.build(item, f"{path}[{index}]") for index, item in enumerate(node.value)]
        raise TypeError(f"unknown YAML node {type(node).__name__}")

    def _mapping(self, node: yaml.MappingNode, path: str) -> dict[str, Any]:
        result: dict[str, Any] = {}
        lines: dict[str, int] = {}
        for key_node, value_node in node.value:
            line = key_node.start_mark.line + 1
            if not isinstance(key_node, yaml.ScalarNode):
                self._note(path, f"found a key that is no text in line {line}; allowed: words", "Write a word as key")
                continue
            key = str(key_node.value)
            inner = one_line(f"{path}.{key}" if path else key)
            if key in lines:
                found = f"found twice, in line {lines[key]} and line {line}; allowed: each key once"
                is_system = path == "systems_of_record"
                self._note(
                    inner,
                    f"{found}, as a record has one system of record" if is_system else found,
                    f"Remove line {lines[key]} or line {line}",
                )
                continue
            lines[key] = line
            result[key] = self.build(value_node, inner)
        return result

    def _scalar(self, node: yaml.ScalarNode, path: str) -> Any:
        text = str(node.value)
        is_plain = node.style is None
        if node.tag not in _PLAIN_TAGS:
            self._note(path, "found a value with a tag (!name); allowed: plain values", "Remove the tag")
            return None
        if not is_plain:
            return text
        if text in {"", "~", "null", "Null", "NULL"}:
            return None
        if text in {"true", "True", "TRUE", "false", "False", "FALSE"}:
            return text.casefold() == "true"
        if _INTEGER.fullmatch(text) and len(text) <= 30:
            return int(text.replace("_", ""))
        if _NUMBER.fullmatch(text) and len(text) <= 60:
            return float(text.replace("_", ""))
        return text

    def _note(self, path: str, problem: str, mend: str) -> None:
        self._problems.append(Problem(path or self._name, problem, mend))
