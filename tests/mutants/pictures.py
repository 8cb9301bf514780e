"""Mutants of pictures: their files, their column, their kind, their augmentation."""

from __future__ import annotations

from tests.mutants import Mutant

KIND = "tests/kinds/test_image.py"
FILES = "tests/data/test_pictures.py"
TABLES = "tests/data/test_pictures_tables.py"
SAVED = "tests/data/test_pictures_save.py"
AUGMENT = "tests/nets/test_augment.py"
MUTANTS = [
    Mutant("kinds/image.py", "np.moveaxis(values, 1, -1)", "values.reshape(len(values), *shape_of(self.type))", KIND),
    Mutant("kinds/image.py", "highest > 127 else", "highest > 16 else", KIND),
    Mutant("kinds/image.py", "scale=half)", "scale=self.levels / 2)", KIND),
    Mutant("kinds/profile.py", "self.met |= ", "self.met = ", KIND),
    Mutant("data/pictures/column.py", "storage.values.offset + storage.offset * size", "storage.values.offset", KIND),
    Mutant("data/pictures/decode.py", "(None, 0, 3, 1, 5, 4, 6, 2)", "(None, 0, 3, 1, 5, 2, 6, 4)", FILES),
    Mutant("data/pictures/decode.py", "numbers[good]", "numbers[: len(good)]", FILES),
    Mutant("data/pictures/decode.py", 'simplefilter("error", Image', 'simplefilter("ignore", Image', FILES),
    Mutant("data/pictures/decode.py", "_SAME.get(form, form)", "FORMATS[source.suffix.lower()]", FILES),
    Mutant("data/pictures/decode.py", "+ 128) // 257", "+ 128) % 256", FILES),
    Mutant("data/pictures/folder.py", "places = [place[1:] for place in places]", "pass", FILES),
    Mutant("data/pictures/folder.py", "table.drop_columns([FILE]).take(rows)", "table.drop_columns([FILE])", FILES),
    Mutant("data/pictures/form.py", 'fit or "crop"', '"crop"', FILES),
    Mutant("data/readers/pictured.py", "table = table.take(pa.array(decoded.kept))", "pass", TABLES),
    Mutant(
        "data/pictures/arrays.py",
        "np.moveaxis(array, 1, -1)",
        "array.reshape(len(array), *array.shape[2:], -1)",
        TABLES,
    ),
    Mutant("data/pictures/save.py", "(path / SCHEMA_FILE).exists()", "path.exists()", SAVED),
    Mutant(
        "data/pictures/sheets.py",
        "left = j // columns * (height + GAP), j % columns",
        "left = j % columns * (height + GAP), j // columns",
        SAVED,
    ),
    Mutant("nets/images/warp.py", "torch.linalg.inv(matrix) * half", "matrix * half", AUGMENT),
    Mutant("nets/images/warp.py", "* half / half[:, None]", "", AUGMENT),
    Mutant("nets/images/colour.py", "grey + factor[:, None, None] * (", "factor[:, None, None] * (", AUGMENT),
    Mutant("nets/images/augment.py", "matrix = more @ matrix", "matrix = more", AUGMENT),
    Mutant("nets/images/augment.py", "self.uniform() < self.p)", "self.uniform() < 0.3)", AUGMENT),
    Mutant("nets/images/augment.py", "weight = draw.chosen() * draw", "weight = draw", AUGMENT),
    Mutant("data/pictures/arrays.py", "int(codes.max()) < len(classes)", "True", TABLES),
    Mutant("data/store.py", "batch.slice(start, rows) for start", "batch.slice(0, rows) for start", TABLES),
]
