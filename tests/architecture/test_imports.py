"""Imports run one way, and importing has no weight. Read from the source, so that a forbidden arrow fails at once."""

from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]

TIERS: tuple[frozenset[str], ...] = (
    frozenset({"errors"}),
    frozenset({"types", "languages", "progress", "budget", "automation", "servers", "postgres"}),
    frozenset({"s3"}),
    frozenset({"config"}),
    frozenset({"lineage", "catalog", "media", "fusion", "model", "objective", "optim"}),
    frozenset({"shots", "encoders", "store", "data"}),
    frozenset({"testing", "extract", "train", "probes", "search"}),
    frozenset({"embedder", "registry", "clips"}),
    frozenset({"loading"}),
    frozenset({"steps"}),
    frozenset({"cli"}),
    frozenset({"__main__"}),
)
"""Rooms of the library; a room imports from tiers before its own, and from itself."""

WITHIN_TIER = {("fusion", "lineage"), ("data", "store"), ("registry", "embedder"), ("objective", "model")}
"""Arrows inside a tier that are wanted: room -> room."""

PUBLIC_API = {"mediafm.loading", "mediafm.steps.clip_embeddings"}
"""What `mediafm/__init__.py` looks up at first use, and the only things of ours that it may name."""


def sources(package: str) -> list[Path]:
    return sorted((ROOT / package).rglob("*.py"))


def imported_modules(file: Path) -> Iterator[str]:
    for node in ast.walk(ast.parse(file.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.level == 0 and node.module:
            yield node.module
            yield from (f"{node.module}.{alias.name}" for alias in node.names if node.module == "mediafm")


def room_of(file: Path) -> str:
    return file.relative_to(ROOT / "mediafm").parts[0].removesuffix(".py")


def tier_of(room: str) -> int:
    return next(number for number, rooms in enumerate(TIERS) if room in rooms)


@pytest.mark.parametrize("file", sources("mediafm"), ids=lambda file: str(file.relative_to(ROOT)))
def test_a_room_imports_only_from_rooms_below_it(file: Path) -> None:
    room = room_of(file)
    if room == "__init__":
        assert {module for module in imported_modules(file) if module.startswith("mediafm")} == PUBLIC_API
        return
    wrong = []
    for module in imported_modules(file):
        parts = module.split(".")
        if parts[0] != "mediafm" or len(parts) < 2 or parts[1] == room:
            continue
        is_below = tier_of(parts[1]) < tier_of(room)
        if not is_below and (room, parts[1]) not in WITHIN_TIER:
            wrong.append(module)
    assert not wrong, f"{room} imports {wrong}"


@pytest.mark.parametrize("file", sources("mediafm"), ids=lambda file: str(file.relative_to(ROOT)))
def test_the_library_knows_no_dagster_and_only_the_registry_knows_mlflow(file: Path) -> None:
    roots = {module.split(".")[0] for module in imported_modules(file)}
    assert not roots & {"dagster", "mediafm_pipelines"}
    assert "mlflow" not in roots or room_of(file) == "registry"


def test_model_objective_and_optim_see_tensors_only() -> None:
    for room in ("model", "objective", "optim"):
        for file in sources(f"mediafm/{room}"):
            rooms = {m.split(".")[1] for m in imported_modules(file) if m.startswith("mediafm.")}
            assert rooms <= {"model", "objective", "optim", "errors", "types"}, file


def test_probes_see_stored_vectors_only() -> None:
    for file in sources("mediafm/probes"):
        rooms = {m.split(".")[1] for m in imported_modules(file) if m.startswith("mediafm.")}
        assert not rooms & {"model", "train", "encoders", "embedder", "extract"}, file


@pytest.mark.parametrize("file", sources("mediafm_pipelines"), ids=lambda file: str(file.relative_to(ROOT)))
def test_dagster_reads_annotations_that_are_not_strings(file: Path) -> None:
    assert "__future__" not in set(imported_modules(file))


@pytest.mark.parametrize(
    "module",
    ["mediafm", "mediafm.config", "mediafm.catalog.scan", "mediafm.store.store", "mediafm.lineage.audit"],
)
def test_importing_the_library_does_not_import_torch(module: str) -> None:
    heavy = "{'torch', 'mlflow', 'dagster', 'sklearn', 'cv2', 'boto3', 'fsspec'}"
    code = f"import sys, {module}; print(sorted(set(sys.modules) & {heavy}))"
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert found.stdout.strip() == "[]"


@pytest.mark.parametrize("module", ["mediafm.steps.spaces", "mediafm.steps.summary", "mediafm.steps.arrivals"])
def test_ingest_status_and_looks_at_catalogues_do_not_import_torch(module: str) -> None:
    """Seconds, and hundreds of megabytes, in each process that the daemon starts."""
    code = f"import sys, {module}; print(sorted(set(sys.modules) & {{'torch', 'mlflow', 'sklearn', 'pandas'}}))"
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert found.stdout.strip() == "[]"


def test_the_code_location_imports_nothing_heavy() -> None:
    heavy = "{'torch', 'mlflow', 'sklearn', 'matplotlib', 'cv2', 'av', 'duckdb', 'transformers'}"
    code = f"import sys, mediafm_pipelines.definitions; print(sorted(set(sys.modules) & {heavy}))"
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=ROOT)
    assert found.stdout.strip() == "[]"


def test_files_and_functions_stay_small() -> None:
    too_long = []
    for package in ("mediafm", "mediafm_pipelines", "tests", "benchmarks"):
        for file in sources(package):
            text = file.read_text()
            if text.count("\n") > 500:
                too_long.append(f"{file.relative_to(ROOT)}: {text.count(chr(10))} lines")
            too_long += [
                f"{file.relative_to(ROOT)}: {node.name}"
                for node in ast.walk(ast.parse(text))
                if isinstance(node, ast.FunctionDef) and (node.end_lineno or 0) - node.lineno > 60
            ]
    assert not too_long


def test_nothing_loaded_may_run_code() -> None:
    """No pickle, no `torch.load` without `weights_only`, no code from a hub."""
    for package in ("mediafm", "mediafm_pipelines"):
        for file in sources(package):
            text = file.read_text()
            assert "import pickle" not in text, file
            assert "trust_remote_code=True" not in text, file
            for call in (node for node in ast.walk(ast.parse(text)) if isinstance(node, ast.Call)):
                if ast.unparse(call.func) == "torch.load":
                    assert "weights_only=True" in map(ast.unparse, call.keywords), file
                if isinstance(call.func, ast.Attribute) and call.func.attr == "from_pretrained":
                    given = [ast.unparse(keyword) for keyword in call.keywords]
                    assert "local_files_only=True" in given, f"{file}: {ast.unparse(call)}"


def test_packages_begin_with_a_docstring_and_nothing_else() -> None:
    for package in ("mediafm", "mediafm_pipelines"):
        for file in (ROOT / package).rglob("__init__.py"):
            if file == ROOT / "mediafm" / "__init__.py":
                continue
            (only,) = ast.parse(file.read_text()).body
            assert isinstance(only, ast.Expr), file


def test_the_library_itself_names_its_public_api_and_runs_nothing() -> None:
    """A docstring, `typing`, imports that only a type checker sees, `__all__`, and the two functions of PEP 562."""
    said, typing, checked, public, *functions = ast.parse((ROOT / "mediafm" / "__init__.py").read_text()).body
    assert isinstance(said, ast.Expr)
    assert isinstance(typing, ast.ImportFrom)
    assert typing.module == "typing"
    assert isinstance(checked, ast.If)
    assert ast.unparse(checked.test) == "TYPE_CHECKING"
    assert isinstance(public, ast.Assign)
    assert ast.unparse(public.targets[0]) == "__all__"
    assert [item.name for item in functions if isinstance(item, ast.FunctionDef)] == ["__getattr__", "__dir__"]
    assert len(functions) == 2
