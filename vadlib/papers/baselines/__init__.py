"""Rules that learned nothing (chapter 04)."""
