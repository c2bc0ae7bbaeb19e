"""Operations on compression: what is switched on, what it saved, and named pipelines."""
