"""The agent cards, computed from the skills (04 §9). They declare what works and nothing else."""

import hashlib
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import msgspec
from a2a.types import (
    AgentCapabilities,
    AgentCard,
    AgentExtension,
    AgentInterface,
    AgentProvider,
    AgentSkill,
    HTTPAuthSecurityScheme,
    SecurityRequirement,
    SecurityScheme,
    StringList,
)
from starlette.requests import Request
from starlette.responses import Response

from omniroute.caller import Caller
from omniroute.skills.skill import Skill
from omniroute_a2a.proto import copy_of, struct_of, to_dict
from omniroute_a2a.signing import CardSigner

NAME = "OmniRoute"
DESCRIPTION = (
    "One local-first gateway between agents and models: routes each request to the best "
    "available model, and answers questions about quota, providers, cost and health."
)
MODES = ("text/plain", "application/json")
KEY_EXTENSION = "urn:omniroute:a2a:key"
"""Extension of the extended card: what the caller's own key may do."""

RPC_PATH = "/a2a"
BINDING_PATH = "/a2a/v1"
"""Where the HTTP+JSON binding is, unless somebody mounts it elsewhere."""
DOCUMENTATION_PATH = "/docs"

V03_MEMBERS = {
    "protocolVersion": "0.3",
    "preferredTransport": "JSONRPC",
    "supportsAuthenticatedExtendedCard": True,
}


def agent_card(
    skills: Sequence[Skill[Any]],
    version: str,
    base_url: str,
    key_required: bool,
    binding_path: str = BINDING_PATH,
) -> AgentCard:
    """The card in its 1.0 form. Of its interfaces the preferred one is first."""
    interfaces = (
        (RPC_PATH, "JSONRPC", "1.0"),
        (RPC_PATH, "JSONRPC", "0.3"),
        (binding_path, "HTTP+JSON", "1.0"),
    )
    card = AgentCard(
        name=NAME,
        description=DESCRIPTION,
        version=version,
        provider=AgentProvider(organization=NAME, url=base_url),
        documentation_url=f"{base_url}{DOCUMENTATION_PATH}",
        capabilities=AgentCapabilities(
            streaming=True, push_notifications=True, extended_agent_card=True
        ),
        default_input_modes=MODES,
        default_output_modes=MODES,
        skills=[card_skill(skill) for skill in skills],
        supported_interfaces=[
            AgentInterface(
                url=f"{base_url}{path}", protocol_binding=binding, protocol_version=protocol
            )
            for path, binding, protocol in interfaces
        ],
    )
    if key_required:
        scheme = SecurityScheme(http_auth_security_scheme=HTTPAuthSecurityScheme(scheme="Bearer"))
        card.security_schemes["bearer"].CopyFrom(scheme)
        card.security_requirements.append(SecurityRequirement(schemes={"bearer": StringList()}))
    return card


def card_skill(skill: Skill[Any]) -> AgentSkill:
    """A skill's entry."""
    return AgentSkill(
        id=skill.id,
        name=skill.name,
        description=skill.description,
        tags=skill.tags,
        examples=skill.examples,
        input_modes=MODES,
        output_modes=MODES,
    )


def extended_card(card: AgentCard, caller: Caller) -> AgentCard:
    """The card with what the caller's key may do."""
    extended = copy_of(card)
    extended.capabilities.extensions.append(
        AgentExtension(
            uri=KEY_EXTENSION,
            description="What the presented key may do; no allowed models means all of them.",
            params=struct_of({"allowedModels": caller.allowed_models}),
        )
    )
    return extended


def current_card(card: AgentCard) -> dict[str, Any]:
    """`agent-card.json`: the 1.0 card with what 0.3 clients look for beside it.

    The security schemes stay in 1.0 form only: one key per scheme is what the test kit accepts.
    """
    members = {**to_dict(card), **v03_members(card)}
    if card.security_requirements:  # ProtoJSON leaves empty lists out, readers look for them
        members["securityRequirements"] = [{"schemes": {"bearer": {"list": []}}}]
    return members


def legacy_card(card: AgentCard) -> dict[str, Any]:
    """`agent.json`: the seed card with what 0.3 clients look for, schemes in 0.3 form."""
    full = to_dict(card)
    kept = ("name", "description", "version", "skills", "defaultInputModes", "defaultOutputModes")
    legacy = {
        **{member: full[member] for member in kept},
        "capabilities": {"streaming": True, "pushNotifications": True},
        "authentication": {"schemes": ["api-key"], "apiKeyHeader": "Authorization"},
        "additionalInterfaces": [{"url": v03_url(card), "transport": "JSONRPC"}],
        "supportedInterfaces": full["supportedInterfaces"],
        **v03_members(card),
    }
    if card.security_schemes:
        legacy["securitySchemes"] = {"bearer": {"type": "http", "scheme": "Bearer"}}
    return legacy


def v03_members(card: AgentCard) -> dict[str, Any]:
    """The top-level members only 0.3 has."""
    members: dict[str, Any] = {**V03_MEMBERS, "url": v03_url(card)}
    if card.security_schemes:
        members["security"] = [{"bearer": []}]
    return members


def v03_url(card: AgentCard) -> str:
    """Where 0.3 is spoken."""
    return str(card.supported_interfaces[0].url)


class Cards:
    """Serves both cards, readable for everybody and cacheable for an hour."""

    def __init__(
        self,
        skills: Mapping[str, Skill[Any]],
        version: str,
        base_url: Callable[[], str],
        key_required: Callable[[], bool],
        signer: CardSigner,
        binding_path: str = BINDING_PATH,
    ) -> None:
        self._signer = signer
        self._skills = skills
        self._version = version
        self._base_url = base_url
        self._key_required = key_required
        self._binding_path = binding_path

    def card(self) -> AgentCard:
        """The card as the settings want it now, signed."""
        return self._signer.signed(self._unsigned(), self._root())

    def extended(self, caller: Caller) -> AgentCard:
        """The card for one caller, signed."""
        return self._signer.signed(extended_card(self._unsigned(), caller), self._root())

    def _unsigned(self) -> AgentCard:
        return agent_card(
            tuple(self._skills.values()),
            self._version,
            self._root(),
            self._key_required(),
            self._binding_path,
        )

    def _root(self) -> str:
        return self._base_url().rstrip("/")

    async def current(self, request: Request) -> Response:
        """`GET /.well-known/agent-card.json`."""
        return card_response(request, current_card(self.card()))

    async def legacy(self, request: Request) -> Response:
        """`GET /.well-known/agent.json`."""
        return card_response(request, legacy_card(self.card()))

    async def keys(self, request: Request) -> Response:
        """`GET /.well-known/jwks.json`: what the signature is checked with."""
        return card_response(request, self._signer.key_set())


def card_response(request: Request, card: Mapping[str, Any]) -> Response:
    """The card, or 304 when the client has it already."""
    body = msgspec.json.encode(card)
    etag = f'W/"{hashlib.sha256(body).hexdigest()[:32]}"'
    headers = {"ETag": etag, "Cache-Control": "public, max-age=3600"}
    if is_match(request.headers.get("if-none-match", ""), etag):
        return Response(status_code=304, headers=headers)
    return Response(body, headers=headers, media_type="application/json")


def is_match(header: str, etag: str) -> bool:
    """Whether `If-None-Match` names the tag; weak and strong forms compare equal (RFC 9110)."""
    tags = {tag.strip().removeprefix("W/") for tag in header.split(",")}
    return "*" in tags or etag.removeprefix("W/") in tags
