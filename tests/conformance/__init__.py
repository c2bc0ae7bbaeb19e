"""What public conformance suites are pointed at, and the runs of those suites."""
