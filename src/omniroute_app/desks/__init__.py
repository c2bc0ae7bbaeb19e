"""What commands do themselves: on the data directory, or through the gateway that runs on it."""
