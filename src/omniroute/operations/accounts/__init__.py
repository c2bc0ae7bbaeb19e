"""Accounts of providers and custom upstreams: kept, tested, signed in to."""
