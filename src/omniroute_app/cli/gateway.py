"""Asking a gateway over its management API, and telling what it refuses."""

import weakref
from collections.abc import Mapping, Sequence
from typing import Any, NoReturn
from urllib.parse import quote

import httpx

from omniroute.catalog.names import did_you_mean
from omniroute.errors import Forbidden, InvalidRequest, NotFound, Unauthenticated
from omniroute_app.cli.credentials import found_gateway, is_loopback
from omniroute_app.cli.where import Where

TIMEOUT_S = 120
"""Tests of accounts and combos ask upstreams, which take their time."""


class Gateway:
    """One gateway, asked again and again over one connection."""

    def __init__(self, url: str, headers: Mapping[str, str]) -> None:
        self.url = url
        # A proxy of the environment is for other machines.
        self._client = httpx.Client(
            base_url=url, headers=headers, timeout=TIMEOUT_S, trust_env=not is_loopback(url)
        )
        weakref.finalize(self, self._client.close)

    def get(self, path: str, **query: object) -> Any:
        """What is at a path; query values of None are left out."""
        return self.ask("GET", path, query=query)

    def ask(
        self,
        method: str,
        path: str,
        body: object = None,
        query: Mapping[str, object] | None = None,
    ) -> Any:
        """The answer to one request.

        Raises:
            InvalidRequest: no gateway answers, or it cannot use the request.
            Unauthenticated: it asks who we are.
            Forbidden: it knows, and does not allow it.
            NotFound: there is no such thing.
        """
        response = self.send(method, path, body, query)
        if response.status_code >= 400:
            refused(response)
        return _json_of(response)

    def send(
        self,
        method: str,
        path: str,
        body: object = None,
        query: Mapping[str, object] | None = None,
    ) -> httpx.Response:
        """One request and its answer, whatever its status.

        Raises:
            InvalidRequest: no gateway answers.
        """
        params = {name: _text(value) for name, value in (query or {}).items() if value is not None}
        try:
            return self._client.request(method, path, json=body, params=params)
        except httpx.HTTPError as error:
            raise InvalidRequest(
                f"No gateway answers at {self.url}. Start one with: omniroute"
            ) from error


def gateway(where: Where) -> Gateway:
    """The gateway a command is about."""
    found = found_gateway(where)
    return Gateway(found.url, found.headers)


def refused(response: httpx.Response) -> NoReturn:
    """Raise what a gateway says against a request, and what to do next."""
    said = message_of(response)
    if response.status_code == 401:
        raise Unauthenticated(f"{said} Sign in with: omniroute login --url {_root(response)}")
    if response.status_code == 403:
        raise Forbidden(
            f"{said} Use another key (--key), or sign in with: omniroute login --url "
            f"{_root(response)}"
        )
    if response.status_code == 404:
        raise NotFound(said)
    raise InvalidRequest(said)


def message_of(response: httpx.Response) -> str:
    """What an error answer says, with the fields it is about."""
    found = _json_of(response)
    said = found.get("error", found) if isinstance(found, dict) else found
    if not isinstance(said, dict):
        return str(said)
    details = [
        f"{one['field']} {one['message']}" if one.get("field") else str(one["message"])
        for one in said.get("details") or ()
    ]
    return "; ".join(details) + "." if details else str(said.get("message", said))


def pick(
    rows: Sequence[Mapping[str, Any]],
    wanted: str,
    kind: str,
    names: Sequence[str] = ("id", "name"),
) -> dict[str, Any]:
    """The row that is meant: by id, by name, or by the beginning of its id.

    Raises:
        NotFound: there is none; names the nearest.
        InvalidRequest: several could be meant.
    """
    for name in names:
        exact = [row for row in rows if row.get(name) == wanted]
        if len(exact) == 1:
            return dict(exact[0])
        if exact:
            raise _several(wanted, kind, exact)
    begun = [row for row in rows if len(wanted) >= 4 and str(row["id"]).startswith(wanted)]
    if len(begun) == 1:
        return dict(begun[0])
    if begun:
        raise _several(wanted, kind, begun)
    known = [str(row[name]) for name in names for row in rows if row.get(name)]
    raise NotFound(f"There is no {kind} '{wanted}'.{did_you_mean(wanted, known)}")


def _several(wanted: str, kind: str, rows: Sequence[Mapping[str, Any]]) -> InvalidRequest:
    ids = ", ".join(str(row["id"]) for row in rows)
    return InvalidRequest(f"'{wanted}' could be more than one {kind}; write one of the ids {ids}.")


def part(text: object) -> str:
    """A text as one part of a path."""
    return quote(str(text), safe="")


def _text(value: object) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


def _json_of(response: httpx.Response) -> Any:
    try:
        return response.json()
    except ValueError as error:
        raise InvalidRequest(
            f"What answers at {_root(response)} is no OmniRoute gateway "
            f"(status {response.status_code}). Name the right one with --url."
        ) from error


def _root(response: httpx.Response) -> str:
    url = response.request.url
    return f"{url.scheme}://{url.netloc.decode()}"
