"""The A2A door: cards, JSON-RPC in three dialects, tasks and streaming."""
