"""The pages browsers see: signing in, the first password, and what the gateway does."""
