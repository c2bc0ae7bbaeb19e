"""The one way out: connector, guard, send path, stream framing, and the demo upstream."""
