"""Networks over sequences of classes: texts."""
