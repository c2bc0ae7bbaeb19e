"""Spellings of model names that are right at one vendor and wrong at another. Source: 01 §3.3."""

from collections.abc import Mapping

SPELLINGS: Mapping[str, str] = {
    "gpt-oss:120b": "gpt-oss-120b",
    "gpt-oss:20b": "gpt-oss-20b",
    "deepseek-v3-2": "deepseek-v3.2",
    "claude-haiku-4.5": "claude-haiku-4-5",
    "claude-opus-4.1": "claude-opus-4-1",
    "claude-opus-4.5": "claude-opus-4-5",
    "claude-sonnet-4.5": "claude-sonnet-4-5",
    "claude-3.5-haiku": "claude-3-5-haiku-latest",
}
"""The other vendor's spelling to the one the maker uses. Where a provider lists the first, it
means the first; this table is asked only when nobody does."""
