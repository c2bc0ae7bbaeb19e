"""Settings, and the whole configuration as a file or for other gateways."""
