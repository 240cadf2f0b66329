"""The firmware as a program of this machine, under the sanitizers: protocol, plain terminal, garbage."""

from __future__ import annotations

import random
import struct
from pathlib import Path

import pytest

from edgeslm.firmware.wire import BEGIN, END, SYNC, Frame, Receiver, request
from tests.firmware.host_program import build_host_program, talk
from tests.firmware.stub_bundle import BOS, CACHE_BYTES, CONTEXT, make_stub, stub_answer

ZEROS = bytes(BEGIN + 1024 + END)


@pytest.fixture(scope="module", params=[False, True], ids=["float", "fixed"])
def program(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    macros = ("-DEDGESLM_LAYOUT=0", f"-DEDGESLM_FIXED={int(request.param)}")
    folder = tmp_path_factory.mktemp("host")
    return build_host_program(make_stub(folder / "model"), macros, folder)


def answers(program: Path, *frames: Frame) -> list[Frame]:
    return list(Receiver().feed(talk(program, b"".join(frame.encode() for frame in frames))))


def test_the_board_says_what_it_is(program: Path) -> None:
    (hello,) = answers(program, request("H"))
    assert hello.type == "h"
    protocol, payload, vocabulary, context, layers, ticks, stack, arena, cache, clock, *digest = hello.words(12)
    assert (protocol, payload, vocabulary, context, layers) == (2, 1024, 256, CONTEXT, 2)
    assert (ticks, stack, arena, cache) == (4 + 256, 0, 1024, CACHE_BYTES)
    assert clock == 0
    assert digest == [0, 0]  # of the images that are built for a board alone
    assert hello.text(12) == b"stub"


def test_a_request_that_comes_twice_is_answered_once(program: Path) -> None:
    once, other = request("O", 3, 0, 0, number=7), request("O", 4, 0, 0, number=8)
    found = answers(program, once, once, other, once, request("O", 5, 0, 0), request("O", 5, 0, 0), once)
    assert [(frame.type, frame.number) for frame in found] == [
        ("a", 7), ("o", 7), ("a", 7), ("a", 8), ("o", 8), ("a", 7), ("o", 7), ("o", 0), ("o", 0), ("a", 7), ("o", 7),
    ]  # fmt: skip
    *confirmed, done = answers(program, Frame("P", b"Hello", 200), Frame("P", b"Hello", 200))[:-1]
    assert {frame.number for frame in [*confirmed, done]} == {200}
    assert (confirmed[0].type, done.type) == ("a", "d")


def test_an_answer_comes_token_by_token(program: Path) -> None:
    options, *tokens, done = answers(program, request("O", 9, 0, 0), Frame("P", b"Hello"))
    assert options.words(3) == (9, 0, 0)
    expected = stub_answer(b"Hello", 9)
    assert [frame.words(2) for frame in tokens] == list(enumerate(expected))
    assert b"".join(frame.text(2) for frame in tokens) == bytes(expected)
    assert done.words(7)[:3] == (1, 6, 9)


def test_an_answer_ends_by_its_token_and_by_the_context(program: Path) -> None:
    prompts = [b"a" * count for count in range(1, CONTEXT - 1)]
    found = answers(program, request("O", 1000, 0, 0), *(Frame("P", prompt) for prompt in prompts))
    reasons = set()
    for prompt in prompts:
        done = next(frame for frame in found if frame.type == "d" and frame.words(2)[1] == len(prompt) + 1)
        reason, entered, count = done.words(3)
        room = CONTEXT - entered
        expected = stub_answer(prompt, room)
        assert count == len(expected)
        assert reason == (0 if expected[-1] == 0 else 2)
        reasons.add(reason)
    assert reasons == {0, 2}


def test_no_room_no_text_and_no_utf8_are_told(program: Path) -> None:
    for prompt, expected in (
        (b"a" * (CONTEXT - 1), (1, CONTEXT, CONTEXT)),
        (b"a" * 1024, (1, 1025, CONTEXT)),
        (b"\xff", (3, 0, CONTEXT)),
    ):
        (error,) = answers(program, Frame("P", prompt))
        assert (error.type, error.words(3)) == ("e", expected)
    (error,) = answers(program, Frame("Z", b"abc"))
    assert error.words(3) == (16, ord("Z"), 3)


def test_an_empty_prompt_begins_a_text(program: Path) -> None:
    *tokens, _ = answers(program, request("O", 3, 0, 0), Frame("P"))[1:]
    assert [frame.words(2)[1] for frame in tokens] == stub_answer(b"", 3)


def test_a_drawn_answer_is_the_same_for_the_same_seed(program: Path) -> None:
    def drawn(seed: int, temperature: int) -> list[int]:
        found = answers(program, request("O", 20, temperature, seed), Frame("P", b"Hello"))
        return [frame.words(2)[1] for frame in found if frame.type == "t"]

    hot = 100 << 16
    assert drawn(1, hot) == drawn(1, hot)
    assert drawn(1, hot) != drawn(2, hot)
    assert drawn(1, 1 << 10) == stub_answer(b"Hello", 20)  # next to cold: the likeliest alone


def test_every_position_is_measured(program: Path) -> None:
    found = answers(program, request("X", 3, 4))
    assert [frame.type for frame in found] == ["x", "p"] * 7 + ["d"]
    assert [frame.words(2) for frame in found if frame.type == "x"] == [(p, int(p >= 3)) for p in range(7)]
    assert [frame.words(1)[0] for frame in found if frame.type == "p"] == list(range(7))
    for prompt, steps in ((CONTEXT, 1), (0xFFFFFFFF, 2), (2, 0xFFFFFFFF)):
        (error,) = answers(program, request("X", prompt, steps))
        assert (error.type, error.words(1)) == ("e", (17,))


def test_a_person_types_a_line_and_reads_text(program: Path) -> None:
    typed = "caté".encode() + b"\x7f\x7f\x08xy\x7f" + b"\r"  # erases é, then t and a; types x; types and erases y
    shown = talk(program, typed)
    assert shown.startswith(b"\r\nstub, fp32, 0000000000000000\r\n> cat\xc3\xa9")
    answer = shown.split(b"\r\n")[3]
    expected = bytes(stub_answer(b"cx", CONTEXT - 3))
    visible = bytes(byte if 32 <= byte < 127 or byte == 9 else 63 for byte in expected.rstrip(b"\0"))
    assert answer.replace(b"\r", b"").startswith(visible.split(b"\n")[0][:20])
    assert shown.endswith(b"\r\n> ")


def test_a_frame_after_half_a_typed_line_is_answered(program: Path) -> None:
    shown = talk(program, b"half a line" + request("H").encode() + b"x\r")
    (hello,) = Receiver().feed(shown)
    assert hello.type == "h"
    assert b"half" in shown


def test_garbage_never_harms(program: Path) -> None:
    """Noise, and requests with damage, three thousand of them: what comes after some zeros is answered as ever."""
    generator = random.Random(7)
    requests = [request("H"), request("O", 5, 0, 0), Frame("P", b"Hello"), request("X", 1, 1), Frame("P", b"\xf9")]
    stream = bytearray()
    for _ in range(3000):
        piece = bytearray(generator.choice(requests).encode())
        for _ in range(generator.randrange(4)):
            piece[generator.randrange(len(piece))] = generator.choice([SYNC, generator.randrange(256)])
        if generator.randrange(3) == 0:
            del piece[generator.randrange(len(piece))]
        stream += piece + generator.randbytes(generator.randrange(6))
    stream = stream.replace(request("Q").encode(), b"")  # the one request that ends the program
    content = bytes(stream) + ZEROS + request("O", 4, 0, 0).encode() + Frame("P", b"ab").encode()
    found = list(Receiver().feed(talk(program, content)))
    assert [frame.words(2)[1] for frame in found[-5:-1]] == stub_answer(b"ab", 4)
    assert found[-6].payload == struct.pack("<3I", 4, 0, 0)
    assert sum(frame.type == "h" for frame in found) > 50  # many requests were whole


def test_the_stub_begins_with_its_own_token() -> None:
    assert stub_answer(b"", 1) == [(5 * BOS + BOS + 3) % 64]
