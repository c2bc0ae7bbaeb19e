"""The composition root: settings, wiring, mounts, lifespan and the command line."""
