"""vadlib: the tested library behind the book *Video Anomaly Detection, Reproduced*."""

__version__ = "0.1.0"
