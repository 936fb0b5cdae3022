"""What a case expects, and the error that says what came instead."""


class Missed(Exception):
    """A case is not held; the text says what happened instead."""


def expect(condition, otherwise):
    if not condition:
        raise Missed(otherwise)


def expect_bytes(answer, data, status=200):
    """The answer is the whole of `data`, and nothing else."""
    expect(answer.status == status, f"answered {answer.status}, not {status}")
    expect(answer.complete, f"broke off after {len(answer.body)} of {len(data)} bytes")
    expect(answer.body == data, f"delivered {len(answer.body)} bytes that are not the ones asked for")
