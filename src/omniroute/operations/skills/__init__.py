"""Tool skills: installed, switched, executed."""
