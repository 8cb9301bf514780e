"""Laws of the project itself: versions, licence, commands, layers, style."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest

import ensample

ROOT = Path(__file__).parents[1]
PACKAGE = ROOT / "src" / "ensample"
MODULES = sorted(PACKAGE.rglob("*.py"))
PYTHON = [*MODULES, *sorted((ROOT / "tests").rglob("*.py")), *sorted((ROOT / "bench").rglob("*.py"))]

LAYERS = (
    ("events", "errors", "storage", "budget", "run"),
    ("data",),
    ("kinds",),
    ("nets",),
    ("solvers",),
    ("families",),
    ("train",),
    ("infer",),
    ("judge",),
    (
        *(
            "verbs",
            "model",
            "sampling",
            "editing",
            "classes",
            "latent",
            "writer",
            "filler",
            "writing",
            "modelfile",
            "runfolder",
        ),
        *("fitting", "judging", "capabilities", "hub", "hubchat", "chatting", "forecasting", "forecasts"),
        *("calibrating", "gaps"),
    ),
    ("worlds",),
    ("cli", "__main__"),
)
"""Each layer imports only itself and those before it. `ensample/__init__.py` imports nothing when it is imported."""

RANK = {name: rank for rank, names in enumerate(LAYERS) for name in names}

MOST_LINES, MOST_TEST_LINES = 330, 400


def name_of(path: Path) -> str:
    return str(path.relative_to(ROOT))


def each(paths: list[Path]) -> pytest.MarkDecorator:
    return pytest.mark.parametrize("path", paths, ids=name_of)


def test_version_is_the_same_everywhere() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    assert project["version"] == ensample.__version__
    assert f"## [{ensample.__version__}]" in (ROOT / "CHANGELOG.md").read_text()


def test_licence_is_whole() -> None:
    text = (ROOT / "LICENSE").read_text()
    assert "Apache License" in text and "Version 2.0, January 2004" in text and "END OF TERMS AND CONDITIONS" in text
    assert len(text) > 11_000


def test_every_make_command_in_the_documents_exists() -> None:
    targets = set(re.findall(r"^([a-z]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    for page in documents():
        for line in re.findall(r"(?:^|`)make ([a-z]+)", page.read_text(), re.MULTILINE):
            assert line in targets, f"{page.name}: make {line}"


def test_ci_runs_the_command_of_the_readme() -> None:
    assert "make test" in (ROOT / "README.md").read_text()
    script = ROOT / ".ci" / "run"
    assert script.stat().st_mode & 0o111, "not executable"
    assert "make test" in script.read_text()


def documents() -> list[Path]:
    return [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").glob("*.md"))]


def test_capability_table_of_the_readme_is_current() -> None:
    from ensample.capabilities import markdown

    assert markdown() in (ROOT / "README.md").read_text(), "put in what `python -m ensample.capabilities` prints"


def test_mutants_stand_in_the_code() -> None:
    from tests.mutants import gather

    for mutant in gather():
        text = (PACKAGE / mutant.file).read_text()
        assert text.count(mutant.old) == 1, f"{mutant.file}: {mutant.old!r} stands {text.count(mutant.old)} times"


def test_every_family_has_joined_the_laws() -> None:
    """One that cannot learn the toy event of the table has them in a file of its own."""
    from ensample.families import TABLE
    from tests.laws import cases, pictures, ragged

    joined = {case.name for case in (*cases.gather(), *ragged.gather(), *pictures.gather())}
    for name in set(TABLE) - joined:
        assert TABLE[name]().refuses(cases.toy_event(), None) is not None
        assert (ROOT / "tests" / "families" / f"test_{name}.py").exists()


def test_public_names_exist() -> None:
    for name in ensample.__all__:
        assert getattr(ensample, name) is not None
    with pytest.raises(AttributeError, match="no attribute 'Modle'"):
        _ = ensample.Modle


def test_importing_the_package_imports_nothing_heavy() -> None:
    program = "import sys, ensample; print(*sorted(m for m in sys.modules if '.' not in m))"
    loaded = set(
        subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True).stdout.split()
    )
    assert not loaded & {"torch", "numpy", "pyarrow", "lightgbm", "sklearn", "pandas", "polars", "jinja2"}


@each(MODULES)
def test_layers_import_only_downwards(path: Path) -> None:
    """Imports for type checkers alone (under TYPE_CHECKING) are free: they bind no code."""
    layer = layer_of(path)
    if layer is None:
        return
    for imported, line in imports(ast.parse(path.read_text())):
        if imported.split(".")[0] != "ensample" or imported == "ensample.__version__":
            continue
        if imported == "ensample":
            assert layer == "cli", f"{name_of(path)}:{line}: only a door imports the whole package"
            continue
        below = imported.split(".")[1]
        assert below in RANK, f"{name_of(path)}:{line} imports {imported}, which belongs to no layer"
        assert RANK[below] <= RANK[layer], f"{name_of(path)}:{line}: {layer} must not import {imported}"


def layer_of(path: Path) -> str | None:
    first = path.relative_to(PACKAGE).parts[0].removesuffix(".py")
    return None if first == "__init__" else first


def test_every_module_belongs_to_a_layer() -> None:
    assert {layer_of(path) for path in MODULES} - {None} <= set(RANK)


def imports(tree: ast.AST) -> Iterator[tuple[str, int]]:
    """Modules imported when the code runs, those inside functions included."""
    for node in ast.iter_child_nodes(tree):
        if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test):
            continue
        if isinstance(node, ast.Import):
            yield from ((alias.name, node.lineno) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"line {node.lineno}: relative import"
            names = (
                [f"{node.module}.{alias.name}" for alias in node.names] if node.module == "ensample" else [node.module]
            )
            yield from ((str(name), node.lineno) for name in names)
        else:
            yield from imports(node)


@each(MODULES)
def test_public_functions_have_docstrings_and_types(path: Path) -> None:
    tree = ast.parse(path.read_text())
    assert ast.get_docstring(tree), "no docstring"
    for node in public(tree):
        assert ast.get_docstring(node), f"{node.name}, line {node.lineno}: no docstring"
        if isinstance(node, ast.FunctionDef):
            assert node.returns is not None or node.name == "__init__", f"{node.name}: no return type"
            arguments = [a for a in (*node.args.args, *node.args.kwonlyargs) if a.arg not in ("self", "cls")]
            assert all(a.annotation is not None for a in arguments), (
                f"{node.name}, line {node.lineno}: untyped argument"
            )


def public(tree: ast.Module | ast.ClassDef) -> Iterator[ast.FunctionDef | ast.ClassDef]:
    for node in tree.body:
        if isinstance(node, ast.FunctionDef | ast.ClassDef) and not node.name.startswith("_"):
            if not any("overload" in ast.unparse(d) for d in node.decorator_list):
                yield node
            if isinstance(node, ast.ClassDef):
                yield from public(node)


@each(PYTHON)
def test_files_are_short(path: Path) -> None:
    most = MOST_LINES if path.is_relative_to(PACKAGE) else MOST_TEST_LINES
    assert len(path.read_text().splitlines()) <= most


FORBIDDEN = {
    "pickle": "pickle runs code when it is loaded",
    "cloudpickle": "pickle runs code when it is loaded",
    "joblib": "joblib pickles",
    "torch.save": "torch.save pickles",
    "torch.load": "torch.load unpickles",
    "torch.manual_seed": "global random state",
    "torch.seed": "global random state",
    "np.random.seed": "global random state",
    "numpy.random.seed": "global random state",
    "random.seed": "global random state",
    "np.random.rand": "global random state",
    "np.random.randn": "global random state",
    "np.random.randint": "global random state",
    "np.random.choice": "global random state",
    "eval": "runs text",
    "exec": "runs text",
}


def reads_weights_only(call: ast.Call) -> bool:
    """Whether this is `torch.load(..., weights_only=True)`, which makes tensors and containers and runs nothing."""
    said = {k.arg: ast.unparse(k.value) for k in call.keywords}
    return ast.unparse(call.func) == "torch.load" and said.get("weights_only") == "True"


@each(MODULES)
def test_nothing_forbidden_is_called(path: Path) -> None:
    tree = ast.parse(path.read_text())
    calls = [node for node in ast.walk(tree) if isinstance(node, ast.Call) and not reads_weights_only(node)]
    used = {(ast.unparse(node.func), node.lineno) for node in calls}
    used |= set(imports(tree))
    for name, line in used:
        assert name not in FORBIDDEN, f"line {line}: {name}: {FORBIDDEN[name]}"


@each(MODULES)
def test_no_method_that_only_refuses(path: Path) -> None:
    raised = {
        ast.unparse(node.exc)
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.Raise)
        if node.exc
    }
    assert not any(text.startswith("NotImplementedError") for text in raised)
