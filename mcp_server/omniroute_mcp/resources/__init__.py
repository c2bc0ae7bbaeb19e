"""The resources, as rows. 03 §10.1."""
