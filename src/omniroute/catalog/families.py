"""Families of models that can do what their elders cannot, by the beginnings of their ids."""

FIXED_SAMPLING = (
    "claude-opus-4-7",
    "claude-opus-4-8",
    "claude-opus-5",
    "claude-sonnet-5",
    "claude-haiku-5",
    "claude-fable",
    "claude-mythos",
)
"""Claude models that refuse temperature, top_p and top_k, and budgets for thinking.
Source: platform.claude.com/docs/en/about-claude/models/migration-guide; later ones by analogy."""

ADAPTIVE = ("claude-opus-4-6", "claude-sonnet-4-6", *FIXED_SAMPLING)
"""Claude models that think as much as they see fit; budgets are deprecated or refused.
Source: platform.claude.com/docs/en/build-with-claude/adaptive-thinking."""

STRUCTURED = (
    "claude-sonnet-4-5",
    "claude-opus-4-1",
    "claude-opus-4-5",
    "claude-haiku-4-5",
    *ADAPTIVE,
)
"""Claude models that keep to a JSON Schema.
Source: docs.anthropic.com/en/docs/build-with-claude/structured-outputs."""

OPENAI_REASONING = ("o1", "o3", "o4", "gpt-5")
"""OpenAI models that take `max_completion_tokens` and return sealed reasoning.
Source: platform.openai.com/docs/guides/reasoning."""

THINKS_IN_TEXT = (
    "cogito",
    "deepseek-r1",
    "ernie-4.5-21b-a3b-thinking",
    "exaone-deep",
    "glm-4.1v-thinking",
    "glm-z1",
    "hunyuan-a13b",
    "magistral",
    "marco-o1",
    "minimax-m",
    "openthinker",
    "phi-4-reasoning",
    "phi4-reasoning",
    "qwen3",
    "qwq",
    "r1-1776",
    "smollm3",
    "sonar-reasoning",
)
"""Open models whose thinking stands between tags in their text, unless their server parses it.
Sources: their model cards."""
