"""Outbound proxies."""
