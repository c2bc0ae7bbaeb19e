"""Signs the agent card, so that whoever has it can tell that this gateway wrote it (04 §9)."""

from collections.abc import Mapping
from typing import Any

from a2a.types import AgentCard
from a2a.utils.signing import create_agent_card_signer
from joserfc.jwk import ECKey

from omniroute_a2a.proto import copy_of

ALGORITHM = "ES256"
JWKS_PATH = "/.well-known/jwks.json"


class CardSigner:
    """A P-256 key at work.

    Args:
        private_key: PEM text.
    """

    def __init__(self, private_key: str) -> None:
        self._pem = private_key
        self._key = ECKey.import_key(private_key)
        self._key_id = self._key.thumbprint()  # RFC 7638: names the key by what it is
        self._last: AgentCard | None = None
        self._last_signed: AgentCard | None = None

    def signed(self, card: AgentCard, base_url: str) -> AgentCard:
        """The card with a JWS over its canonical 1.0 form; `jku` says where the key is.

        The same card twice is signed once: signatures are random, and the card is cached by its
        content.
        """
        if self._last != card or self._last_signed is None:
            header = {
                "alg": ALGORITHM,
                "kid": self._key_id,
                "jku": f"{base_url}{JWKS_PATH}",
                "typ": "JOSE",
            }
            sign = create_agent_card_signer(self._pem, header)  # type: ignore[arg-type]
            self._last, self._last_signed = copy_of(card), sign(copy_of(card))
        return copy_of(self._last_signed)

    def key_set(self) -> Mapping[str, Any]:
        """The public key as a JWK set."""
        public = self._key.as_dict(private=False)
        return {"keys": [{**public, "kid": self._key_id, "use": "sig", "alg": ALGORITHM}]}
