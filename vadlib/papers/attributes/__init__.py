"""Attributes: how fast, where, of what looks (Reiss and Hoshen)."""
