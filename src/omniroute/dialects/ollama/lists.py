"""Ollama's lists of models, as its clients read them."""

import hashlib
from typing import Any

import msgspec
from msgspec import Struct

from omniroute.dialects.fields import read_object
from omniroute.errors import ValidationFailed

_LOADED_AT = "1970-01-01T00:00:00Z"  # codecs hold no clock, and nothing was loaded

CAPABILITIES = ("completion", "tools", "vision", "thinking")


class ShowRequest(Struct, frozen=True):
    """What `/api/show` is asked; older clients say `name`."""

    model: str | None = None
    name: str | None = None

    @property
    def named(self) -> str:
        """The model that is meant.

        Raises:
            ValidationFailed: none is.
        """
        if not (self.model or self.name):
            raise ValidationFailed([("model", "is required")])
        return self.model or self.name or ""


def loaded(body: bytes) -> bytes | None:
    """The answer to a request that says nothing: it asks for the model to be loaded, which every
    model here always is. None for a request that says something."""
    asked = read_object(body)
    if asked.get("prompt") or asked.get("messages") or asked.get("images"):
        return None
    message: dict[str, Any] = {"response": ""}
    if "messages" in asked:
        message = {"message": {"role": "assistant", "content": ""}}
    model = asked.get("model")
    head = {"model": model if isinstance(model, str) else "", "created_at": _LOADED_AT}
    return msgspec.json.encode({**head, **message, "done": True, "done_reason": "load"})


def tag(model_id: str, owner: str, modified_at: str) -> dict[str, Any]:
    """One entry of `/api/tags`. `modified_at` is ISO-8601; nothing here has a size."""
    return {
        "name": model_id,
        "model": model_id,
        "modified_at": modified_at,
        "size": 0,
        "digest": hashlib.sha256(model_id.encode()).hexdigest(),
        "details": _details(owner),
    }


def shown(model_id: str, owner: str, modified_at: str) -> dict[str, Any]:
    """The answer of `/api/show`."""
    return {
        "modelfile": f"FROM {model_id}",
        "parameters": "",
        "template": "",
        "modified_at": modified_at,
        "details": _details(owner),
        "model_info": {"general.architecture": owner, "general.basename": model_id},
        "capabilities": list(CAPABILITIES),
    }


def _details(owner: str) -> dict[str, Any]:
    return {
        "parent_model": "",
        "format": "gguf",
        "family": owner,
        "families": [owner],
        "parameter_size": "",
        "quantization_level": "",
    }
