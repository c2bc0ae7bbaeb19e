"""Who may do what: passwords, keys, addresses, and the log of what was done."""
