"""MSTI-Net (chapter 08)."""
