"""The Tasks extension of the stateless era: tool calls that go on without their callers."""
