"""Streams from their first useful event to their end, over several targets if need be."""
