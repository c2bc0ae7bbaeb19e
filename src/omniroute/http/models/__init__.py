"""The model APIs: every dialect over the same operation."""
