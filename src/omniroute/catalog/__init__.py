"""Facts about providers, models and prices, each with its source."""
