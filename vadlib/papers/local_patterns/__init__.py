"""Local Patterns: words, and how they move (chapters 10 and 11)."""
