"""The configuration for other gateways: fetched with a token, or asked for with a key."""
