"""What agents want to know again, recalled."""
