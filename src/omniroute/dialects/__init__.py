"""One module per wire format: pure codecs between bytes and the neutral conversation."""

from collections.abc import Mapping

from omniroute.chat import Dialect
from omniroute.dialects.anthropic import Anthropic
from omniroute.dialects.codec import ClientCodec, Codec
from omniroute.dialects.gemini import Gemini
from omniroute.dialects.ollama import Ollama, OllamaGenerate
from omniroute.dialects.openai_chat import OpenAIChat
from omniroute.dialects.openai_completions import OpenAICompletions
from omniroute.dialects.openai_responses import OpenAIResponses

CODECS: Mapping[Dialect, Codec] = {
    Dialect.OPENAI_CHAT: OpenAIChat(),
    Dialect.OPENAI_RESPONSES: OpenAIResponses(),
    Dialect.ANTHROPIC: Anthropic(),
    Dialect.GEMINI: Gemini(),
    Dialect.OLLAMA: Ollama(),
}
"""The codec of every dialect. A codec has no state: one serves the whole process."""

COMPLETIONS: ClientCodec = OpenAICompletions()
"""OpenAI's legacy completions, which only clients still speak."""

GENERATE: ClientCodec = OllamaGenerate()
"""Ollama's prompts without a conversation, which only clients speak."""
