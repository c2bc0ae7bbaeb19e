"""Durable state: SQL tables, repositories, the journal and the secrets that guard them."""
