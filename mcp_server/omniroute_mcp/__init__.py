"""The MCP door: tools table, scopes, audit, transports and error mapping."""
