import threading
from collections.abc import Iterator
from itertools import count, islice

import pytest

from reid.training.prefetch import made_ahead


def test_items_keep_their_order() -> None:
    assert list(islice(made_ahead(count(5)), 100)) == list(range(5, 105))


def test_next_items_are_made_while_an_item_is_used() -> None:
    is_made = [threading.Event() for _ in range(9)]

    def items() -> Iterator[int]:
        for number in count():
            is_made[number].set()
            yield number

    coming = made_ahead(items(), ahead=2)
    assert next(coming) == 0
    assert is_made[2].wait(timeout=10)
    assert not is_made[3].wait(timeout=0.1)
    coming.close()


def test_error_is_raised_in_its_turn_and_no_thread_stays() -> None:
    def items() -> Iterator[int]:
        yield 1
        yield 2
        raise ValueError("no third")

    before = threading.active_count()
    coming = made_ahead(items())
    assert [next(coming), next(coming)] == [1, 2]
    with pytest.raises(ValueError, match="no third"):
        next(coming)
    assert threading.active_count() == before
