"""Pictures: files of them, and the Arrow column that holds them."""

from __future__ import annotations

from ensample.data.pictures.column import is_pictures, pixels_of, shape_of, tensor_column, tensor_type
from ensample.data.pictures.sheets import sheet

__all__ = ["is_pictures", "pixels_of", "shape_of", "sheet", "tensor_column", "tensor_type"]
