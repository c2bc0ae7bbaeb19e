"""The values storage keeps, as the rest of the house sees them: frozen, typed, without SQL."""
