"""Programs that models write: problems, the sandbox that runs them, and what became of them."""

NAMESPACES, BUBBLEWRAP, NONE = "namespaces", "bubblewrap", "none"
"""The ways to isolate programs."""
