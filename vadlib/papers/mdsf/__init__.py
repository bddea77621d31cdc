"""MDSF (chapter 09)."""
