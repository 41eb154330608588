"""The model family and its training."""
