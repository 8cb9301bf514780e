"""Networks of pictures: numbers in [-1, 1], [rows, channels, height, width]."""
