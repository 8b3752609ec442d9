"""As much GraphQL as a fake host needs: variables, aliases, fragments; a field that does not exist is an error."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any

TOKEN = re.compile(r'\.\.\.|"[^"]*"|\$?[A-Za-z_]\w*|\d+|[{}():!]')
SPACE = re.compile(r"[\s,]*")


class InvalidQuery(Exception):
    """The question itself is wrong: nothing of it is answered."""


class FieldError(Exception):
    """A field of the root can't be answered: it is null, and an error beside the data says why."""

    def __init__(self, message: str, kind: str | None) -> None:
        super().__init__(message)
        self.kind = kind


class QueryDocument:
    """A question, read."""

    def __init__(self, text: str, variables: Mapping[str, Any]) -> None:
        self._tokens = _tokenise(text)
        self._variables = variables
        self._declared: set[str] = set()
        self.fragments: dict[str, list[Any]] = {}
        self.selection: list[Any] = []
        while self._tokens:
            word = self._next()
            if word == "query":
                self._declarations()
                self.selection = self._selection()
            elif word == "fragment":
                name = self._next()
                self._expect("on")
                self._next()
                self.fragments[name] = self._selection()
            else:
                raise InvalidQuery(f"Parse error on {word!r}")
        if self._declared != set(variables):
            raise InvalidQuery(f"Variables declared and given differ: {sorted(self._declared ^ set(variables))}")

    def _next(self) -> str:
        if not self._tokens:
            raise InvalidQuery("Unexpected end of document")
        return self._tokens.pop()

    def _peek(self) -> str:
        return self._tokens[-1] if self._tokens else ""

    def _expect(self, word: str) -> None:
        if self._next() != word:
            raise InvalidQuery(f"Parse error: expected {word!r}")

    def _declarations(self) -> None:
        if self._peek() != "(":
            return
        self._next()
        while self._peek() != ")":
            self._declared.add(self._next().removeprefix("$"))
            for word in (":", "String", "!"):
                self._expect(word)
        self._next()

    def _selection(self) -> list[Any]:
        """Return (alias, name, arguments, selection) for a field, (None, name, type, selection) for a fragment."""
        self._expect("{")
        found: list[Any] = []
        while self._peek() != "}":
            word = self._next()
            if word == "...":
                name = self._next()
                found.append((None, None, self._next(), self._selection()) if name == "on" else (None, name, None, []))
                continue
            name = word
            if self._peek() == ":":
                self._next()
                name = self._next()
            arguments = self._arguments() if self._peek() == "(" else {}
            found.append((word, name, arguments, self._selection() if self._peek() == "{" else None))
        self._next()
        return found

    def _arguments(self) -> dict[str, Any]:
        self._expect("(")
        found = {}
        while self._peek() != ")":
            name = self._next()
            self._expect(":")
            value = self._next()
            found[name] = self._variables.get(value[1:]) if value.startswith("$") else value.strip('"')
        self._next()
        return found


def _tokenise(text: str) -> list[str]:
    """Return the words of a question, the last one first."""
    found, position = [], SPACE.match(text).end()  # type: ignore[union-attr]
    while position < len(text):
        match = TOKEN.match(text, position)
        if match is None:
            raise InvalidQuery(f"Parse error on {text[position]!r}")
        found.append(match.group())
        position = SPACE.match(text, match.end()).end()  # type: ignore[union-attr]
    return found[::-1]


def aliases(document: QueryDocument, name: str) -> list[str]:
    """Return under which names a field of the root is asked for."""
    return [alias for alias, field, _, _ in document.selection if field == name]


def execute(document: QueryDocument, root: Mapping[str, Callable[..., Any]]) -> dict[str, Any]:
    """Return the envelope: data, and errors where fields of the root failed."""
    data: dict[str, Any] = {}
    errors: list[dict[str, Any]] = []
    for alias, name, arguments, selection in document.selection:
        if name not in root:
            raise InvalidQuery(f"Field '{name}' doesn't exist on type 'Query'")
        try:
            data[alias] = resolve(root[name](alias, **arguments), selection, document.fragments)
        except FieldError as error:
            data[alias] = None
            kind = {"type": error.kind} if error.kind else {}
            errors.append(kind | {"path": [alias], "message": str(error), "locations": [{"line": 2, "column": 3}]})
    return {"data": data} | ({"errors": errors} if errors else {})


def resolve(value: Any, selection: list[Any] | None, fragments: Mapping[str, list[Any]]) -> Any:
    """Return of a value what the selection asks for. Arguments written out are part of a field's name."""
    if isinstance(value, list):
        return [resolve(one, selection, fragments) for one in value]
    if value is None or selection is None:
        if isinstance(value, dict):
            raise InvalidQuery("Objects must have selections")
        return value
    found: dict[str, Any] = {}
    for alias, name, arguments, inner in selection:
        if alias is None:
            found |= resolve(value, fragments[name] if name else inner, fragments)
            continue
        arguments_text = f"({', '.join(f'{key}: {one}' for key, one in arguments.items())})" if arguments else ""
        if f"{name}{arguments_text}" not in value:
            raise InvalidQuery(f"Field '{name}{arguments_text}' doesn't exist")
        found[alias] = resolve(value[f"{name}{arguments_text}"], inner, fragments)
    return found
