"""What the model of a request means, and who may ask for it."""
