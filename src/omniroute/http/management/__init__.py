"""The management API, a module of routes for each subject."""
