"""Every management route keeps the document's word: it exists, knows which ids it knows, and names
the field that is wrong. The served OpenAPI document says which routes there are."""

from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import Any, TypeAlias

import httpx
import jsonschema_rs
import pytest
from tests.omniroute.http.conftest import BOSS, OpenSite

pytestmark = pytest.mark.anyio

Json: TypeAlias = dict[str, Any]

UNKNOWN = "nobody-has-this-id"

NEVER_ASKED = {
    "POST /api/shutdown": "it would be the last one",
    "POST /api/restart": "it would be the last one",
}
KNOW_NO_ID = {
    "GET /api/routes/{request_id}": "a request nobody remembers is explained as unknown (03 §6)",
}
ASKS_ELSEWHERE = {
    "POST /api/pricing/sync": "there is no list at the address these tests give: 502",
    "POST /api/skills/executions": "skills are off until somebody switches them on: 503",
}
MAY_BE_NULL = {
    "POST /api/keys/{key_id}/regenerate": "the body may be left out",
}
SOMETHING: dict[str, Json] = {
    "PUT /api/providers/{connection_id}": {"name": "x"},
    "PATCH /api/providers/{connection_id}": {"name": "x"},
    "PATCH /api/keys/{key_id}": {"name": "x"},
    "PUT /api/combos/{combo_id}": {"name": "x"},
    "PUT /api/skills/{skill_id}": {"mode": "off"},
    "PATCH /api/combos/{combo_id}": {"name": "x"},
    "PUT /api/context/combos/{combo_id}": {"name": "x"},
}
"""The body for routes that want a field, no matter which."""


@dataclass(frozen=True)
class Operation:
    """One route and method of the document."""

    method: str
    path: str
    told: Json
    document: Json

    @property
    def name(self) -> str:
        return f"{self.method} {self.path}"

    @property
    def url(self) -> str:
        """Its address, with ids nothing has."""
        url = self.path
        for name in self.parameters("path"):
            url = url.replace(f"{{{name}}}", UNKNOWN)
        return url

    def parameters(self, place: str) -> dict[str, Json]:
        """The schemas of its parameters in the path or the query."""
        return {
            one["name"]: one["schema"]
            for one in self.told.get("parameters", [])
            if one["in"] == place
        }

    @cached_property
    def body(self) -> Json | None:
        """The schema of its JSON body."""
        content = self.told.get("requestBody", {}).get("content", {})
        found = content.get("application/json")
        return None if found is None else self.whole(found["schema"])

    def sent(self) -> Json:
        """What a request to it needs, as small as it may be."""
        query = {
            one["name"]: self.example(one["schema"])
            for one in self.told.get("parameters", [])
            if one["in"] == "query" and one.get("required")
        }
        if self.body is None:
            return {"params": query}
        return {"params": query, "json": SOMETHING.get(self.name) or self.example(self.body)}

    def whole(self, schema: Json) -> Json:
        """A schema with what it refers to, null left out."""
        if "$ref" in schema:
            name = schema["$ref"].rpartition("/")[2]
            found: Json = self.document["components"]["schemas"][name]
            return found
        choices: list[Json] = schema.get("oneOf") or schema.get("anyOf") or []
        wholes = [self.whole(one) for one in choices if one.get("type") != "null"]
        return wholes[0] if wholes else schema

    def fits(self, schema: Json) -> Callable[[Any], bool]:
        """Says whether a value is what a schema says."""
        whole = {**schema, "components": self.document["components"]}
        return jsonschema_rs.validator_for(whole).is_valid

    def example(self, schema: Json) -> Any:
        """The smallest value a schema allows."""
        schema = self.whole(schema)
        if "enum" in schema or "const" in schema:
            return schema.get("enum", [schema.get("const")])[0]
        kind = schema.get("type", "object")
        kind = kind[0] if isinstance(kind, list) else kind
        if kind == "object":
            fields = schema.get("properties", {})
            return {name: self.example(fields[name]) for name in schema.get("required", [])}
        if kind == "array":
            return [self.example(schema.get("items", {}))] * schema.get("minItems", 0)
        if kind in ("integer", "number"):
            return schema.get("minimum", 1)
        return {"string": "x" * max(1, schema.get("minLength", 1)), "boolean": True}[kind]


WRONG: tuple[Any, ...] = ([{"wrong": [{}]}], {"wrong": [[]]}, "wrong", 1.5, True)
"""Values of which one does not fit, whatever a field is."""


def operations(document: Json) -> Iterator[Operation]:
    """All of the document, in its order."""
    for path, item in document["paths"].items():
        for method, told in item.items():
            if method != "parameters":
                yield Operation(method.upper(), path, told, document)


@pytest.fixture
async def client(site: OpenSite) -> AsyncIterator[httpx.AsyncClient]:
    environ = {"OMNIROUTE_API_KEY": BOSS, "ALLOW_API_KEY_REVEAL": "true"}
    async with site(**environ) as opened, opened.as_peer(key=BOSS) as made:
        yield made


@pytest.fixture
async def managed(client: httpx.AsyncClient) -> list[Operation]:
    """Every management route that may be asked."""
    document = (await client.get("/docs/openapi.json")).json()
    found = [one for one in operations(document) if one.path.startswith("/api/")]
    assert NEVER_ASKED.keys() <= {one.name for one in found}
    return [one for one in found if one.name not in NEVER_ASKED]


async def test_every_route_is_there(client: httpx.AsyncClient, managed: list[Operation]) -> None:
    faults = {}
    for one in managed:
        answer = await client.request(one.method, one.url, **one.sent())
        failed = answer.status_code >= 500 and one.name not in ASKS_ELSEWHERE
        if answer.status_code == 405 or failed or "nothing at" in answer.text:
            faults[one.name] = (answer.status_code, answer.text)
    assert faults == {}
    assert len(managed) > 150


async def test_unknown_ids_are_not_found(
    client: httpx.AsyncClient, managed: list[Operation]
) -> None:
    faults, found = {}, set()
    for one in managed:
        if one.parameters("path"):
            answer = await client.request(one.method, one.url, **one.sent())
            if answer.status_code != 404:
                found.add(one.name)
                faults[one.name] = (answer.status_code, answer.text)
    assert found == KNOW_NO_ID.keys(), faults


UNREADABLE: dict[str, bytes] = {
    "cut": b'{"a": ',
    "not UTF-8": b'{"a": "\xff"}',
    "an array": b"[]",
    "a text": b'"x"',
    "null": b"null",
    "nothing": b"",
    "deep": b"[" * 100_000,
}


async def test_bodies_that_are_no_object_are_refused(
    client: httpx.AsyncClient, managed: list[Operation]
) -> None:
    faults = {}
    for one in managed:
        for what, content in UNREADABLE.items():
            if one.body is None or (one.name in MAY_BE_NULL and content in (b"", b"null")):
                continue
            answer = await client.request(one.method, one.url, content=content)
            if answer.status_code != 400 or not problems(answer):
                faults[f"{one.name}: {what}"] = (answer.status_code, answer.text)
    assert faults == {}


async def test_a_field_of_the_wrong_type_is_named(
    client: httpx.AsyncClient, managed: list[Operation]
) -> None:
    faults, count = {}, 0
    for one, name, schema in fields_of(managed):
        sent, fits = one.sent(), one.fits(schema)
        for wrong in WRONG:
            if fits(wrong):
                continue
            count += 1
            sent["json"] = {**sent["json"], name: wrong}
            answer = await client.request(one.method, one.url, **sent)
            told = {
                message
                for field, message in problems(answer)
                if field == name or field.startswith(f"{name}.")
            }
            choices = one.whole(schema).get("enum", []) if wrong == "wrong" else []
            listed = all(repr(each) in str(told) for each in choices if each is not None)
            if answer.status_code != 400 or not told or not listed:
                faults[f"{one.name}: {name} = {wrong}"] = (answer.status_code, answer.text)
    assert faults == {}
    assert count > 500


async def test_a_field_that_is_missing_is_named(
    client: httpx.AsyncClient, managed: list[Operation]
) -> None:
    faults = {}
    for one, name, _ in fields_of(managed):
        sent = one.sent()
        if name in (one.body or {}).get("required", []):
            sent["json"] = {key: value for key, value in sent["json"].items() if key != name}
            answer = await client.request(one.method, one.url, **sent)
            if answer.status_code != 400 or (name, "is required") not in problems(answer):
                faults[f"{one.name}: {name}"] = (answer.status_code, answer.text)
    assert faults == {}


QUERIES = ("wrong", "-1", "999999999999", "x" * 5_000)


async def test_a_parameter_of_the_query_that_does_not_fit_is_named(
    client: httpx.AsyncClient, managed: list[Operation]
) -> None:
    faults, count = {}, 0
    for one in managed:
        for name, schema in one.parameters("query").items():
            fits = one.fits(schema)
            for text in QUERIES:
                number = int(text) if text.lstrip("-").isdecimal() else text
                if fits(text) or fits(number):
                    continue
                count += 1
                sent = one.sent()
                sent["params"] = {**sent["params"], name: text}
                answer = await client.request(one.method, one.url, **sent)
                choices = [each for each in one.whole(schema).get("enum", []) if each is not None]
                listed = all(repr(each) in answer.text for each in choices)
                named = [field for field, _ in problems(answer)] == [name]
                if answer.status_code != 400 or not named or not listed:
                    faults[f"{one.name}: {name} = {text[:20]}"] = (answer.status_code, answer.text)
    assert faults == {}
    assert count > 50


async def test_a_parameter_of_the_query_that_is_missing_is_named(
    client: httpx.AsyncClient, managed: list[Operation]
) -> None:
    faults = {}
    for one in managed:
        for name in one.sent()["params"]:
            sent = one.sent()
            sent["params"].pop(name)
            answer = await client.request(one.method, one.url, **sent)
            if answer.status_code != 400 or problems(answer) != [(name, "is required")]:
                faults[f"{one.name}: {name}"] = (answer.status_code, answer.text)
    assert faults == {}


def fields_of(managed: list[Operation]) -> Iterator[tuple[Operation, str, Json]]:
    """Every top-level field of every documented body, with its schema."""
    for one in managed:
        for name, schema in (one.body or {}).get("properties", {}).items():
            yield one, name, schema


def problems(answer: httpx.Response) -> list[tuple[str, str]]:
    """The fields that an answer says are wrong, and what it says of them."""
    error = answer.json().get("error")
    details = error.get("details", []) if isinstance(error, dict) else []
    return [(one["field"], one["message"]) for one in details]
