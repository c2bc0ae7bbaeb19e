"""The engine: routing, dialects, money and storage behind every door of the gateway."""

__version__ = "3.8.1"
