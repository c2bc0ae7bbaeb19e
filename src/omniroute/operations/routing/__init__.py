"""Where requests go and why, and what keeps them from going elsewhere."""
