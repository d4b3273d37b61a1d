from __future__ import annotations

import io
import os
import time
from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mediafm.errors import InterruptedMediaError, UnusableMediaError
from mediafm.media.sandbox import Sandbox, read_message, write_message

CHILD = "tests.unit.media.sandbox_child"


@pytest.fixture
def sandbox() -> Iterator[Sandbox]:
    box = Sandbox(CHILD, 1024**3)
    yield box
    box.close()


def is_alive(pid: int) -> bool:
    """False too for a zombie that nobody waited for: `close` must leave none."""
    return os.path.exists(f"/proc/{pid}")


@given(
    header=st.dictionaries(st.text(), st.none() | st.integers() | st.text() | st.floats(allow_nan=False), max_size=5),
    blobs=st.lists(st.binary(max_size=50), max_size=4),
)
def test_messages_round_trip(header: dict, blobs: list[bytes]) -> None:
    header.pop("blob_lengths", None)
    pipe = io.BytesIO()
    write_message(pipe, header, blobs)
    pipe.seek(0)
    message = read_message(pipe.read)
    assert dict(message.header) == header
    assert list(message.blobs) == blobs


def test_answers_come_in_order_with_their_blobs(sandbox: Sandbox) -> None:
    *counted, done = sandbox.request({"do": "count", "to": 5}, 10)
    assert [message.header["number"] for message in counted] == [0, 1, 2, 3, 4]
    assert counted[3].blobs == (b"\x03",) * 3
    assert done.header == {"is_done": True}


def test_one_child_serves_many_requests(sandbox: Sandbox) -> None:
    first = next(iter(list(sandbox.request({"do": "count", "to": 1}, 10)))).header["pid"]
    second = next(iter(list(sandbox.request({"do": "count", "to": 1}, 10)))).header["pid"]
    assert first == second == sandbox.pid


def test_an_error_crosses_with_its_four_parts_and_the_child_lives(sandbox: Sandbox) -> None:
    with pytest.raises(UnusableMediaError, match=r"here: an odd file; files are even\. Even it\.") as caught:
        list(sandbox.request({"do": "refuse"}, 10))
    assert caught.value.remedy == "Even it."
    assert sandbox.pid is not None


def test_a_death_is_told_and_the_next_request_has_a_new_child(sandbox: Sandbox) -> None:
    with pytest.raises(InterruptedMediaError, match=r"died \(signal SIGSEGV\)"):
        list(sandbox.request({"do": "die"}, 10))
    assert len(list(sandbox.request({"do": "count", "to": 2}, 10))) == 3


@pytest.mark.parametrize("order", ["hang", "drip"])
def test_the_deadline_holds_whatever_progress_there_is(sandbox: Sandbox, order: str) -> None:
    started = time.monotonic()
    with pytest.raises(InterruptedMediaError, match="took longer than 1 s"):
        list(sandbox.request({"do": order}, 1.0))
    assert time.monotonic() - started < 10
    assert sandbox.pid is None


def test_our_own_time_does_not_count_against_the_child(sandbox: Sandbox) -> None:
    list(sandbox.request({"do": "count", "to": 1}, 10))
    for _ in sandbox.request({"do": "count", "to": 3}, 0.5):
        time.sleep(0.3)


def test_an_iterator_dropped_half_way_ends_the_child(sandbox: Sandbox) -> None:
    answers = sandbox.request({"do": "drip"}, 10)
    next(answers)
    pid = sandbox.pid
    assert pid is not None
    answers.close()
    assert not is_alive(pid)
    assert len(list(sandbox.request({"do": "count", "to": 1}, 10))) == 2


def test_close_leaves_no_process(sandbox: Sandbox) -> None:
    list(sandbox.request({"do": "count", "to": 1}, 10))
    pid = sandbox.pid
    assert pid is not None
    sandbox.close()
    sandbox.close()
    assert not is_alive(pid)


def test_noise_of_c_libraries_and_our_secrets_stay_out(sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SOME_API_KEY", "secret")
    (answer,) = sandbox.request({"do": "chatter"}, 10)
    assert "SOME_API_KEY" not in answer.header["environment"]


def test_a_child_that_lies_about_sizes_is_not_believed(sandbox: Sandbox) -> None:
    with pytest.raises(InterruptedMediaError, match="a message of 4294967295 bytes"):
        list(sandbox.request({"do": "lie"}, 10))
    assert sandbox.pid is None


def test_a_deadline_of_years_is_borne(sandbox: Sandbox) -> None:
    """The system's wait takes milliseconds in 32 bits: a film whose time stamps lie years apart ended the step."""
    assert len(list(sandbox.request({"do": "count", "to": 2}, 1e12))) == 3
