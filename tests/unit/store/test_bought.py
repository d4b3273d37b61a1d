"""Bought vectors and the purse at rest: exact, shared by processes, and never a reason to stop."""

from __future__ import annotations

import sqlite3
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mediafm.errors import EncoderError, StoreError
from mediafm.store.bought import BoughtVectors, BrokenCacheWarning, RootPurse


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "cache" / "bought.sqlite"


def vectors(count: int, width: int = 5) -> dict[str, np.ndarray]:
    draw = np.random.default_rng(0)
    return {f"key {place}": draw.normal(size=width).astype(np.float32) for place in range(count)}


def test_vectors_come_back_bit_for_bit_also_to_another_object(path: Path) -> None:
    kept = vectors(1203)
    BoughtVectors(path).put(kept)
    found = BoughtVectors(path).get([*kept, "unknown"])
    assert found.keys() == kept.keys()
    for key, vector in kept.items():
        assert found[key].dtype == np.float32
        np.testing.assert_array_equal(found[key], vector)


def test_no_keys_and_an_empty_cache_find_nothing(path: Path) -> None:
    assert BoughtVectors(path).get([]) == {}
    assert BoughtVectors(path).get(["a"]) == {}


def test_a_key_that_is_there_stays_as_it_is(path: Path) -> None:
    cache = BoughtVectors(path)
    cache.put({"a": np.ones(3, np.float32)})
    cache.put({"a": np.zeros(3, np.float32)})
    np.testing.assert_array_equal(cache.get(["a"])["a"], [1, 1, 1])


@pytest.mark.parametrize("change", ["vector = x'00'", "width = 4", "vector = zeroblob(20)", "vector = 'text'"])
def test_a_damaged_row_is_forgotten_with_a_warning_and_bought_again(path: Path, change: str) -> None:
    cache = BoughtVectors(path)
    kept = vectors(2)
    cache.put(kept)
    with closing(sqlite3.connect(path)) as database, database:
        database.execute(f"UPDATE vectors SET {change} WHERE key = 'key 0'")
    with pytest.warns(BrokenCacheWarning, match="1 damaged vectors are forgotten"):
        assert set(cache.get(list(kept))) == {"key 1"}
    cache.put(kept)
    assert set(cache.get(list(kept))) == set(kept)


def test_a_file_that_is_no_database_is_put_aside_and_begun_anew(path: Path) -> None:
    path.parent.mkdir()
    path.write_bytes(b"not a database at all, but long enough to be looked at" * 100)
    cache = BoughtVectors(path)
    with pytest.warns(BrokenCacheWarning, match="put aside as bought.sqlite.broken-"):
        cache.put(vectors(1))
    assert set(cache.get(["key 0"])) == {"key 0"}
    (aside,) = path.parent.glob("*.broken-*")
    assert aside.read_bytes().startswith(b"not a database")


def test_broken_pages_are_met_with_a_fresh_file(path: Path) -> None:
    cache = BoughtVectors(path)
    cache.put(vectors(400, width=200))
    data = bytearray(path.read_bytes())
    data[4096 * 2 :] = b"\xff" * (len(data) - 4096 * 2)
    path.write_bytes(data)
    with pytest.warns(BrokenCacheWarning, match="begin anew"):
        assert cache.get(["key 0", "key 399"]) == {}
    cache.put(vectors(1))
    assert set(cache.get(["key 0"])) == {"key 0"}


def test_a_file_of_another_schema_is_put_aside(path: Path) -> None:
    path.parent.mkdir()
    with closing(sqlite3.connect(path)) as database, database:
        database.execute("CREATE TABLE vectors (key TEXT)")
        database.execute("PRAGMA user_version = 99")
    with pytest.warns(BrokenCacheWarning, match="put aside"):
        assert RootPurse(path).spent_usd() == 0


def test_a_cache_that_is_deleted_meanwhile_begins_anew(path: Path) -> None:
    cache, purse = BoughtVectors(path), RootPurse(path, already_spent_usd=1.5)
    cache.put(vectors(1))
    number = purse.reserve(1.0, None)
    path.unlink()
    assert cache.get(["key 0"]) == {}
    purse.settle(number, 0.25)
    assert purse.spent_usd() == 1.75


def test_a_folder_that_cannot_be_written_says_so(tmp_path: Path) -> None:
    (tmp_path / "cache").write_text("a file where the folder should be")
    with pytest.raises(StoreError, match="bought vectors cannot be kept"):
        BoughtVectors(tmp_path / "cache" / "bought.sqlite").put(vectors(1))


def test_the_budget_is_reached_but_not_passed(path: Path) -> None:
    purse = RootPurse(path)
    first = purse.reserve(0.6, 1.0)
    with pytest.raises(EncoderError, match=r"the budget of \$1.000000 is not passed"):
        purse.reserve(0.5, 1.0)
    assert purse.spent_usd() == 0.6
    purse.settle(first, 0.4)
    purse.reserve(0.6, 1.0)
    assert purse.spent_usd() == 1.0
    purse.reserve(5.0, None)
    assert purse.spent_usd() == 6.0


def test_a_failed_request_costs_nothing_and_a_killed_one_counts(path: Path) -> None:
    RootPurse(path).reserve(0.25, None)
    purse = RootPurse(path)
    purse.settle(purse.reserve(3.0, None), 0.0)
    assert purse.spent_usd() == 0.25


def test_what_the_ledger_knows_counts_only_for_a_new_file(path: Path) -> None:
    BoughtVectors(path).put(vectors(1))
    assert RootPurse(path, already_spent_usd=2.0).spent_usd() == 2.0
    assert RootPurse(path, already_spent_usd=9.0).spent_usd() == 2.0


def test_the_ledger_is_asked_only_when_the_purse_begins_anew(path: Path) -> None:
    asked: list[int] = []

    def ledger() -> float:
        asked.append(1)
        return 2.0

    BoughtVectors(path).put(vectors(1))
    purse = RootPurse(path, ledger)
    purse.settle(purse.reserve(1.0, 5.0), 0.5)
    assert RootPurse(path, ledger).spent_usd() == 2.5
    assert len(asked) == 1
    path.write_bytes(b"no database any more" * 1000)
    with pytest.warns(BrokenCacheWarning, match="put aside"):
        assert RootPurse(path, ledger).spent_usd() == 2.0


@settings(max_examples=20, deadline=None)
@given(costs=st.lists(st.tuples(st.integers(0, 10**6), st.integers(0, 10**6)), max_size=12))
def test_sums_are_exact(tmp_path_factory: pytest.TempPathFactory, costs: list[tuple[int, int]]) -> None:
    purse = RootPurse(tmp_path_factory.mktemp("purse") / "bought.sqlite")
    numbers = [purse.reserve(reserved / 1e6, None) for reserved, _ in costs]
    for number, (_, spent) in zip(reversed(numbers), reversed(costs), strict=True):
        purse.settle(number, spent / 1e6)
    assert purse.spent_usd() == sum(spent for _, spent in costs) / 1e6


SPENDER = """
import sys
from pathlib import Path
import numpy as np
from mediafm.errors import EncoderError
from mediafm.store.bought import BoughtVectors, RootPurse

path = Path(sys.argv[1])
purse, cache, bought = RootPurse(path), BoughtVectors(path), 0
for turn in range(12):
    try:
        number = purse.reserve(0.01, 0.25)
    except EncoderError:
        continue
    cache.put({f"{sys.argv[2]} {turn}": np.ones(64, np.float32)})
    purse.settle(number, 0.01)
    bought += 1
print(bought)
"""


def test_processes_share_the_purse_and_none_passes_the_budget(path: Path) -> None:
    """Four processes want 48 times one cent; the budget is 25 cents."""

    def spend(name: int) -> int:
        command = [sys.executable, "-c", SPENDER, str(path), str(name)]
        return int(subprocess.run(command, capture_output=True, text=True, check=True).stdout)

    with ThreadPoolExecutor(4) as pool:
        bought = list(pool.map(spend, range(4)))
    assert sum(bought) == 25
    assert RootPurse(path).spent_usd() == 0.25
    keys = [f"{name} {turn}" for name in range(4) for turn in range(12)]
    assert len(BoughtVectors(path).get(keys)) == 25
