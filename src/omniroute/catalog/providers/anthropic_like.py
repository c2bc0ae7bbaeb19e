"""Hosted APIs that imitate Anthropic's. 01 §19.2."""

from omniroute.catalog.provider import Auth, Provider
from omniroute.chat import Dialect

VERSION = {"anthropic-version": "2023-06-01"}

ANTHROPIC_LIKE = (
    Provider(
        id="zai",
        name="Z.ai",
        base_url="https://api.z.ai/api/anthropic/v1",
        source="https://docs.z.ai/scenario-example/develop-tools/claude",
        dialect=Dialect.ANTHROPIC,
        auth=Auth.X_API_KEY,
        headers=VERSION,
        chat_path="/messages",
        env=("ZAI_API_KEY",),
        prices="zai",
    ),
    Provider(
        id="minimax",
        name="MiniMax",
        base_url="https://api.minimax.io/anthropic/v1",
        source="https://platform.minimax.io/docs/api-reference/text-anthropic-api",
        dialect=Dialect.ANTHROPIC,
        auth=Auth.BEARER,
        headers=VERSION,
        chat_path="/messages",
        env=("MINIMAX_API_KEY",),
        prices="minimax",
    ),
    Provider(
        id="minimax-cn",
        name="MiniMax, China",
        base_url="https://api.minimaxi.com/anthropic/v1",
        source="https://platform.minimaxi.com/docs/api-reference/text-anthropic-api",
        dialect=Dialect.ANTHROPIC,
        auth=Auth.BEARER,
        headers=VERSION,
        chat_path="/messages",
        env=("MINIMAX_CN_API_KEY",),
        prices="minimax",
    ),
)
