"""Parts and messages: between A2A's 1.0 types and the neutral conversation of `omniroute.chat`."""

import base64
from uuid import uuid4

import msgspec
from a2a.types import Message, Part, Role, Task

from omniroute import chat
from omniroute_a2a.proto import copy_of, to_builtin

SEED_ROLE = "seedRole"
"""Message metadata that keeps a seed role A2A has no word for, such as `system`."""

TAKEN_FAMILIES = frozenset({"text", "image", "audio", "video"})
TAKEN_TYPES = frozenset(
    {
        *(f"application/{name}" for name in ("json", "octet-stream", "pdf", "rtf", "xml", "yaml")),
        *(f"application/{name}" for name in ("msword", "vnd.ms-excel", "vnd.ms-powerpoint")),
    }
)
TAKEN_ENDINGS = ("+json", "+xml", "+yaml")
TAKEN_BEGINNINGS = ("application/vnd.openxmlformats", "application/vnd.oasis.opendocument")
"""Media types of files some model may read; what is of none of these no model does."""

CHAT_ROLES: dict[str, chat.Role] = {"user": "user", "assistant": "assistant", "system": "system"}


def role_of(message: Message) -> chat.Role:
    """The chat role of a message; a role kept from the seed dialect comes first."""
    kept = CHAT_ROLES.get(message.metadata[SEED_ROLE]) if SEED_ROLE in message.metadata else None
    return kept or ("assistant" if message.role == Role.ROLE_AGENT else "user")


def is_taken(media_type: str) -> bool:
    """Whether a file of this media type is handed on; one that names none is."""
    name = media_type.partition(";")[0].strip().lower()
    return (
        not name
        or name.partition("/")[0] in TAKEN_FAMILIES
        or name in TAKEN_TYPES
        or name.endswith(TAKEN_ENDINGS)
        or name.startswith(TAKEN_BEGINNINGS)
    )


def text_of(message: Message) -> str:
    """All text of a message, parts joined by newlines."""
    return "\n".join(part.text for part in message.parts if part.HasField("text"))


def to_chat(message: Message) -> chat.Message:
    """A message in neutral form. Data parts become JSON text, for that is what a model reads."""
    return chat.Message(role_of(message), tuple(to_chat_part(part) for part in message.parts))


def to_chat_part(part: Part) -> chat.Part:
    """One part in neutral form; files are told apart by their media type."""
    media_type = part.media_type or None
    family = part.media_type.partition("/")[0]
    match part.WhichOneof("content"):
        case "text":
            return chat.Text(part.text)
        case "data":
            return chat.Text(msgspec.json.encode(to_builtin(part.data)).decode())
        case "url" if family == "image":
            return chat.Image(url=part.url, media_type=media_type)
        case "url":
            return chat.File(url=part.url, media_type=media_type, filename=part.filename or None)
        case _:
            return to_chat_file(part, media_type, family)


def to_chat_file(part: Part, media_type: str | None, family: str) -> chat.Part:
    """Inline bytes in neutral form."""
    data = base64.b64encode(part.raw).decode()
    if family == "image":
        return chat.Image(data=data, media_type=media_type)
    if family == "audio":
        return chat.Audio(data=data, format=part.media_type.partition("/")[2])
    return chat.File(data=data, media_type=media_type, filename=part.filename or None)


def join_text(task: Task) -> None:
    """Fold neighbouring text parts of each artifact into one, in place.

    The SDK appends every streamed piece as a part of its own.
    """
    for artifact in task.artifacts:
        joined: list[Part] = []
        for part in artifact.parts:
            if joined and is_plain_text(joined[-1]) and is_plain_text(part):
                joined[-1].text += part.text
            else:
                joined.append(part)
        if len(joined) < len(artifact.parts):
            kept = [copy_of(part) for part in joined]
            del artifact.parts[:]
            artifact.parts.extend(kept)


def is_plain_text(part: Part) -> bool:
    """Whether a part is text and nothing besides."""
    return [field.name for field, _ in part.ListFields()] in (["text"], [])


def agent_message(task: Task, text: str) -> Message:
    """A status message of ours about a task."""
    return Message(
        message_id=str(uuid4()),
        task_id=task.id,
        context_id=task.context_id,
        role=Role.ROLE_AGENT,
        parts=[Part(text=text)],
    )
