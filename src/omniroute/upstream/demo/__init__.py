"""The demo upstream: deterministic answers and scripted faults, in process or on a socket."""
