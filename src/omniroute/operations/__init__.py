"""What the gateway can do: one typed function per capability."""
