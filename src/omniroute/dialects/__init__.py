"""One module per wire format: pure codecs between bytes and the neutral conversation."""
