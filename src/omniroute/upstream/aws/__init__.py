"""What Amazon does its own way: signed requests and a binary event stream."""
