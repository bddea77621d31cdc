"""Rules that learned nothing (chapter 04), and the two plainest networks (chapter 05)."""
