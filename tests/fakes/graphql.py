"""The part of GraphQL that the fake GitHub needs: variables, aliases, fragments, and errors for unknown fields."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any

TOKEN = re.compile(r'\.\.\.|"[^"]*"|\$?[A-Za-z_]\w*|\d+|[{}():!]')
SPACE = re.compile(r"[\s,]*")


class InvalidQuery(Exception):
    """The query is invalid, so there is no data."""


class FieldError(Exception):
    """A root field failed: it is null, and `errors` has the reason."""

    def __init__(self, message: str, kind: str | None) -> None:
        super().__init__(message)
        self.kind = kind


class QueryDocument:
    """A parsed query."""

    def __init__(self, text: str, variables: Mapping[str, Any]) -> None:
        self._tokens = _tokenise(text)
        self._variables = variables
        self._declared: set[str] = set()
        self.fragments: dict[str, list[Any]] = {}
        self.selection: list[Any] = []
        while self._tokens:
            token = self._next()
            if token == "query":
                self._declarations()
                self.selection = self._selection()
            elif token == "fragment":
                name = self._next()
                self._expect("on")
                self._next()
                self.fragments[name] = self._selection()
            else:
                raise InvalidQuery(f"Parse error on {token!r}")
        if self._declared != set(variables):
            raise InvalidQuery(f"Variables declared and given differ: {sorted(self._declared ^ set(variables))}")

    def _next(self) -> str:
        if not self._tokens:
            raise InvalidQuery("Unexpected end of document")
        return self._tokens.pop()

    def _peek(self) -> str:
        return self._tokens[-1] if self._tokens else ""

    def _expect(self, token: str) -> None:
        if self._next() != token:
            raise InvalidQuery(f"Parse error: expected {token!r}")

    def _declarations(self) -> None:
        if self._peek() != "(":
            return
        self._next()
        while self._peek() != ")":
            self._declared.add(self._next().removeprefix("$"))
            for token in (":", "String", "!"):
                self._expect(token)
        self._next()

    def _selection(self) -> list[Any]:
        """Return (alias, name, arguments, selection) for a field, (None, name, type, selection) for a fragment."""
        self._expect("{")
        fields: list[Any] = []
        while self._peek() != "}":
            token = self._next()
            if token == "...":
                name = self._next()
                fields.append((None, None, self._next(), self._selection()) if name == "on" else (None, name, None, []))
                continue
            name = token
            if self._peek() == ":":
                self._next()
                name = self._next()
            arguments = self._arguments() if self._peek() == "(" else {}
            fields.append((token, name, arguments, self._selection() if self._peek() == "{" else None))
        self._next()
        return fields

    def _arguments(self) -> dict[str, Any]:
        self._expect("(")
        arguments: dict[str, Any] = {}
        while self._peek() != ")":
            name = self._next()
            self._expect(":")
            value = self._next()
            arguments[name] = self._variables.get(value[1:]) if value.startswith("$") else value.strip('"')
        self._next()
        return arguments


def _tokenise(text: str) -> list[str]:
    """Return the tokens of a query in reverse order."""
    tokens, position = [], _skip_space(text, 0)
    while position < len(text):
        match = TOKEN.match(text, position)
        if match is None:
            raise InvalidQuery(f"Parse error on {text[position]!r}")
        tokens.append(match.group())
        position = _skip_space(text, match.end())
    return tokens[::-1]


def _skip_space(text: str, position: int) -> int:
    match = SPACE.match(text, position)
    assert match is not None  # the pattern also matches an empty text
    return match.end()


def aliases(document: QueryDocument, name: str) -> list[str]:
    """Return the aliases under which a root field is requested."""
    return [alias for alias, field, _, _ in document.selection if field == name]


def execute(document: QueryDocument, root: Mapping[str, Callable[..., Any]]) -> dict[str, Any]:
    """Return the response: data, and errors if root fields failed."""
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
    """Return the selected parts of a value; literal arguments are part of a field's name."""
    if isinstance(value, list):
        return [resolve(element, selection, fragments) for element in value]
    if value is None or selection is None:
        if isinstance(value, dict):
            raise InvalidQuery("Objects must have selections")
        return value
    result: dict[str, Any] = {}
    for alias, name, arguments, inner in selection:
        if alias is None:
            result |= resolve(value, fragments[name] if name else inner, fragments)
            continue
        arguments_text = (
            f"({', '.join(f'{key}: {argument}' for key, argument in arguments.items())})" if arguments else ""
        )
        if f"{name}{arguments_text}" not in value:
            raise InvalidQuery(f"Field '{name}{arguments_text}' doesn't exist")
        result[alias] = resolve(value[f"{name}{arguments_text}"], inner, fragments)
    return result
