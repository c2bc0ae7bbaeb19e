"""What a skill takes, as JSON Schema: whether a schema is one, and whether an input fits."""

from collections.abc import Mapping
from typing import Any, NoReturn

import jsonschema_rs
import msgspec

from omniroute.errors import ValidationFailed

MOST_BYTES = 65_536
MOST_PROBLEMS = 10


def require_schemas(schema: Mapping[str, Any]) -> None:
    """Refuse what is no JSON Schema, or refers to one that would have to be fetched.

    Raises:
        ValidationFailed: says which of `input` and `output` and why.
    """
    for name in ("input", "output"):
        if len(msgspec.json.encode(schema[name])) > MOST_BYTES:
            raise ValidationFailed([(f"schema.{name}", f"is over {MOST_BYTES} bytes")])
        try:
            _validator(schema[name])
        except (jsonschema_rs.ValidationError, ValueError) as error:
            raise ValidationFailed(
                [(f"schema.{name}", "is not a JSON Schema that stands by itself")]
            ) from error


def require_fits(schema: Mapping[str, Any], given: Mapping[str, Any]) -> None:
    """Refuse an input that a skill does not take.

    Raises:
        ValidationFailed: names the fields.
    """
    problems = []
    for error in _validator(schema).iter_errors(dict(given)):
        where = ".".join(str(step) for step in ("input", *error.instance_path))
        problems.append((where, error.message[:300]))
        if len(problems) == MOST_PROBLEMS:
            break
    if problems:
        raise ValidationFailed(problems)


def _validator(schema: Mapping[str, Any]) -> Any:
    return jsonschema_rs.validator_for(
        dict(schema),
        retriever=_never,
        # Patterns come from outside: these take linear time.
        pattern_options=jsonschema_rs.RegexOptions(),
    )


def _never(_uri: str) -> NoReturn:
    raise ValueError("schemas are not fetched")
