"""The queue of the example application: who waits, who is answered, whose place becomes free. No HTTP."""

from __future__ import annotations

import threading
from collections.abc import Iterator

import pytest

from examples.app.answer import TOO_SLOW, Answer, End, Event, Failure, Gone, Piece, Waiting
from examples.app.engine import BROKEN, STOPPING, Engine, Full, Question
from tensorlogic.runtime.errors import BoundaryError
from tensorlogic.runtime.generation import LanguageModel
from tests.examples.app.script import Script, by_hand, eventually

HELLO = Question([("user", "one two three")])


class Reader:
    """A client without a network."""

    def __init__(self, engine: Engine, question: Question = HELLO) -> None:
        self._engine = engine
        self._changed = threading.Event()
        self.events: list[Event] = []
        self.answer = engine.ask(engine.prompt(question), question, self._changed.set)

    def until(self, kind: type[Event]) -> Event:
        """Reads up to an event of this kind."""
        while not (found := [event for event in self.events if isinstance(event, kind)]):
            assert self._changed.wait(20)
            self._changed.clear()
            self.events += self.answer.take()
        return found[-1]

    def text(self) -> str:
        self.until(End)
        return "".join(event.text for event in self.events if isinstance(event, Piece))

    def leave(self) -> None:
        self._engine.leave(self.answer)


@pytest.fixture
def engines() -> Iterator[list[Engine]]:
    """Those that are stopped after the test."""
    found: list[Engine] = []
    yield found
    for engine in found:
        assert engine.stop(20)


def test_an_answer_comes_in_pieces_with_an_end(engines: list[Engine]) -> None:
    engines.append(Engine(Script().model))
    reader = Reader(engines[0])
    assert reader.text() == "w0 w1 w2 w3 w4 "
    # Told once, though it was so when it was asked for, and when it began.
    assert [event for event in reader.events if isinstance(event, Waiting)] == [Waiting(0)]
    end = reader.events[-1]
    assert isinstance(end, End)
    assert (end.finish, end.prompt_tokens, end.tokens) == ("end", 3, 5)
    assert engines[0].taken() == 0


def test_tokens_are_limited_by_the_question_and_by_the_context(engines: list[Engine]) -> None:
    for context, most, count in ((600, 2, 2), (7, 512, 4), (3, 512, 0)):
        engines.append(Engine(Script(context=context).model))
        reader = Reader(engines[-1], Question(HELLO.messages, max_tokens=most))
        end = reader.until(End)
        assert isinstance(end, End)
        assert (end.finish, end.tokens) == ("length", count)


def test_answers_come_in_the_order_in_which_they_were_asked_for(engines: list[Engine]) -> None:
    script = Script(steps=by_hand())
    engines.append(Engine(script.model))
    first, second, third = (Reader(engines[0]) for _ in range(3))
    assert third.until(Waiting) == Waiting(2)
    script.steps.release(7)
    first.until(End)
    eventually(lambda: Waiting(1) in third.events + third.answer.take())
    assert not [event for event in second.events + second.answer.take() if isinstance(event, Piece | End)]
    script.steps.release(100)
    assert second.text() == third.text() == "w0 w1 w2 w3 w4 "


def test_a_full_queue_refuses_and_a_reader_who_leaves_makes_room(engines: list[Engine]) -> None:
    script = Script(steps=by_hand())
    engines.append(Engine(script.model, places=3))
    running, waiting, last = (Reader(engines[0]) for _ in range(3))
    with pytest.raises(Full, match="all 3 places are taken: try again in 1 s"):
        Reader(engines[0])
    waiting.leave()
    assert engines[0].taken() == 2
    assert last.until(Waiting) == Waiting(1)
    Reader(engines[0]).leave()
    running.leave()
    script.steps.release(100)
    assert last.text() == "w0 w1 w2 w3 w4 "


def test_the_model_stops_soon_after_its_reader_has_left(engines: list[Engine]) -> None:
    script = Script(count=1000, steps=by_hand())
    engines.append(Engine(script.model))
    reader = Reader(engines[0])
    script.steps.release(3)
    reader.until(Piece)
    reader.leave()
    script.steps.release(100)
    eventually(lambda: engines[0].taken() == 0)
    assert script.done <= 5


def test_leaving_during_a_long_prompt_stops_it(engines: list[Engine]) -> None:
    script = Script(context=None, steps=by_hand())
    engines.append(Engine(script.model))
    reader = Reader(engines[0], Question([("user", "word " * 10_000)]))
    script.steps.release(1)
    eventually(lambda: script.done == 1)
    reader.leave()
    script.steps.release(100)
    eventually(lambda: engines[0].taken() == 0)
    assert script.done <= 2


def test_a_reader_who_does_not_read_is_dropped(engines: list[Engine]) -> None:
    engines.append(Engine(Script(count=1000).model, buffer=3, patience=0.05))
    question = Question(HELLO.messages)
    slow = engines[0].ask(engines[0].prompt(question), question, lambda: None)
    assert Reader(engines[0], Question(HELLO.messages, max_tokens=2)).text() == "w0 w1 "
    assert slow.take() == [Waiting(0), Piece("w0 w1 w2 "), Failure(TOO_SLOW)]


def put_all(answer: Answer, count: int) -> None:
    for _ in range(count):
        answer.put("a piece")


def test_patience_is_for_the_whole_answer() -> None:
    """A reader who takes a piece shortly before each deadline would hold the model for ever."""
    answer = Answer(lambda: None, buffer=1, patience=0.3)
    reading = threading.Event()

    def read_slowly() -> None:
        while not reading.wait(0.1):
            answer.take()

    thread = threading.Thread(target=read_slowly)
    thread.start()
    with pytest.raises(Gone):
        put_all(answer, 100)
    reading.set()
    thread.join()


def test_what_a_model_refuses_is_told(engines: list[Engine], caplog: pytest.LogCaptureFixture) -> None:
    engines.append(Engine(Script(fault=BoundaryError("TL5025", "no numbers")).model))
    assert Reader(engines[0]).until(Failure) == Failure("no numbers")
    engines.append(Engine(Script(fault=ZeroDivisionError("a secret")).model))
    reader = Reader(engines[1])
    assert reader.until(Failure) == Failure(BROKEN)
    assert "a secret" in caplog.text
    eventually(lambda: engines[1].taken() == 0)


def test_a_prompt_that_is_too_long_is_refused_before_it_waits(engines: list[Engine]) -> None:
    engines.append(Engine(Script(context=2).model))
    with pytest.raises(BoundaryError, match="the prompt has 3 tokens; the model's context has room for 2"):
        engines[0].prompt(HELLO)


def test_stopping_ends_all_answers() -> None:
    script = Script(steps=by_hand())
    engine = Engine(script.model)
    readers = [Reader(engine), Reader(engine)]
    assert not engine.stop()
    for reader in readers:
        assert reader.until(Failure) == Failure(STOPPING)
    assert Reader(engine).until(Failure) == Failure(STOPPING)
    script.steps.release(1)
    assert engine.stop(20)


def test_a_model_that_cannot_be_loaded_is_the_callers_to_tell() -> None:
    def load() -> LanguageModel:
        raise BoundaryError("TL5024", "no such model")

    with pytest.raises(BoundaryError, match="no such model"):
        Engine(load)
