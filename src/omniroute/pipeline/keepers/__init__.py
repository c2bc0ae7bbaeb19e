"""What is written behind the requests, to survive the process."""
