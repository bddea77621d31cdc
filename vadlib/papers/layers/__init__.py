"""Parts that papers share."""
