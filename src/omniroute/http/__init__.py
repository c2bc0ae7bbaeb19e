"""The Litestar doors: model APIs and management routes over operations."""
