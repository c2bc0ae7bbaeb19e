"""What Amazon does its own way: signed requests and a binary event stream."""

NEEDS = (
    "Signatures and streams of Amazon need one more library: run '.venv/bin/pip install botocore' "
    "and restart. Whole replies work without it, given a Bedrock API key."
)
"""What is said where the library is not installed."""
