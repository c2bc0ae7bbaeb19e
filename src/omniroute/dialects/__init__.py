"""One module per wire format: pure codecs between bytes and the neutral conversation."""

from collections.abc import Mapping

from omniroute.chat import Dialect
from omniroute.dialects.anthropic import Anthropic
from omniroute.dialects.codec import Codec
from omniroute.dialects.openai_chat import OpenAIChat

CODECS: Mapping[Dialect, Codec] = {
    Dialect.OPENAI_CHAT: OpenAIChat(),
    Dialect.ANTHROPIC: Anthropic(),
}
"""The codec of every dialect. A codec has no state: one serves the whole process."""
