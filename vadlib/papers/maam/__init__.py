"""MAAM-Net (chapter 07)."""
