"""What clients must never read, and what they must still be able to read."""

import time

import pytest

from omniroute.dialects.redaction import MAX_MESSAGE_CHARS, clean_message

CLEANED = {
    "plain text stays": ("Model not found: gpt-x", "Model not found: gpt-x"),
    "first line only": ("Boom\n  at f (x.js:1)", "Boom"),
    "leading blank lines go": ("\n\n Boom \nmore", "Boom"),
    "a posix path": ("Cannot load /srv/app/main.py:12:3.", "Cannot load <path>."),
    "a path in brackets": ("Fail (/srv/app/x.ts)", "Fail (<path>)"),
    "a windows path": (r"In C:\app\run.js: no", "In <path>: no"),
    "a file address": ("In file:///srv/a.mjs", "In <path>"),
    "a traceback line": ('File "/srv/app/x.py", line 3, in f', "<path>, in f"),
    "addresses stay": ("See https://x.dev/docs/a.js", "See https://x.dev/docs/a.js"),
    "paths of routes stay": ("No route /v1/chat", "No route /v1/chat"),
    "an OpenAI key": ("Bad key: sk-abcDEF123456.", "Bad key: [redacted]"),
    "a masked key": ("Bad key: sk-abc*****wxyz", "Bad key: [redacted]"),
    "our own key": ("key=ork_0123456789abcdef", "key=[redacted]"),
    "a bearer": ("Header Bearer abcdef0123456789", "Header Bearer [redacted]"),
    "a token": ("t eyJhbGciOi.eyJzdWIiOi.c2lnbmF0dXJl", "t [redacted]"),
    "a cloud key": ("AKIAABCDEFGHIJKLMNOP denied", "[redacted] denied"),
    "a Google key": ("?key=AIzaSyA0123456789abcdefghij", "?key=[redacted]"),
    "words that begin alike stay": ("sk-learn and hf_hub", "sk-learn and hf_hub"),
    "nothing": ("", ""),
}


@pytest.mark.parametrize(("text", "clean"), CLEANED.values(), ids=CLEANED)
def test_clean_message(text: str, clean: str) -> None:
    assert clean_message(text) == clean


def test_a_message_is_capped() -> None:
    assert clean_message("x" * 10_000) == "x" * MAX_MESSAGE_CHARS


@pytest.mark.parametrize("piece", ["/", 'File "', "bearer ", "eyJ.", "sk-", "a.py:1", "(" * 7])
def test_cleaning_is_linear(piece: str) -> None:
    began = time.perf_counter()
    clean_message(piece * 200_000)
    assert time.perf_counter() - began < 0.2
