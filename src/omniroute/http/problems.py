"""Error answers of the management API, as its document describes them. Source: 02 §1.4."""

from collections.abc import Mapping
from functools import partial
from typing import Any

from litestar import delete as litestar_delete
from litestar import get as litestar_get
from litestar import patch as litestar_patch
from litestar import post as litestar_post
from litestar import put as litestar_put
from litestar.openapi.datastructures import ResponseSpec
from msgspec import UNSET, Struct, UnsetType


class FieldProblem(Struct, frozen=True):
    """What is wrong with one field, named by its dotted path."""

    field: str
    message: str


class ProblemDetail(Struct, frozen=True, kw_only=True):
    """An error with its machine code or the fields it is about."""

    message: str
    code: str | UnsetType = UNSET
    type: str | UnsetType = UNSET
    correlation_id: str | UnsetType = UNSET
    details: list[FieldProblem] | UnsetType = UNSET


class Problem(Struct, frozen=True, kw_only=True, rename="camel"):
    """The body of every error answer: a sentence, or a sentence with details."""

    error: str | ProblemDetail
    request_id: str | UnsetType = UNSET


PROBLEMS: Mapping[int, ResponseSpec] = {
    status: ResponseSpec(data_container=Problem, description=text, generate_examples=False)
    for status, text in {
        400: "The request is not valid; fields are named.",
        401: "An operator is needed: this machine, or a key with the scope 'manage'.",
        403: "The key may not do this.",
        404: "There is no such thing.",
        409: "It collides with something that exists.",
        413: "The body is over the limit.",
        429: "Too many attempts; Retry-After says when to come back.",
        503: "The gateway is stopping, or its database does not answer.",
    }.items()
}

MODEL_PROBLEMS: Mapping[int, ResponseSpec] = {
    status: ResponseSpec(data_container=dict[str, Any], description=text, generate_examples=False)
    for status, text in {
        400: "The request is not valid, or names an unknown model.",
        401: "An API key is required.",
        403: "The API key may not do this.",
        404: "There is no such thing.",
        409: "It is not in a state in which that could be done.",
        413: "The body is over the limit.",
        429: "A limit of the gateway or of every upstream account is reached.",
        502: "Every upstream failed.",
        503: "Nothing can be tried right now.",
        504: "No upstream answered in time.",
    }.items()
}
"""Errors of the model APIs; each client gets them in its own dialect."""

delete = partial(litestar_delete, responses=dict(PROBLEMS))
get = partial(litestar_get, responses=dict(PROBLEMS))
patch = partial(litestar_patch, responses=dict(PROBLEMS))
post = partial(litestar_post, responses=dict(PROBLEMS))
put = partial(litestar_put, responses=dict(PROBLEMS))

model_delete = partial(litestar_delete, responses=dict(MODEL_PROBLEMS))
model_get = partial(litestar_get, responses=dict(MODEL_PROBLEMS))
model_post = partial(litestar_post, responses=dict(MODEL_PROBLEMS))
