"""The judge of pictures: how near made pictures come to real ones, and whether they were learned by heart."""
