import pickle

import nmhit
import pytest

from neml2.hit.errors import (
    CircularReference,
    InputError,
    InputErrors,
    MissingFile,
    SyntaxProblem,
    UnknownName,
    Where,
)


@pytest.mark.parametrize(
    ("kind", "caught"),
    [
        (UnknownName, (ValueError, KeyError)),
        (SyntaxProblem, (ValueError, nmhit.Error, RuntimeError)),
        (MissingFile, (ValueError, nmhit.Error, FileNotFoundError, OSError)),
        (CircularReference, (ValueError, RecursionError)),
    ],
)
def test_scripts_can_catch_what_they_are_used_to(kind, caught):
    error = kind(Where("a.i", 3, 5), "no such\n thing")
    assert str(error) == "a.i:3:5: no such thing"
    for base in caught:
        with pytest.raises(base):
            raise error
    assert str(pickle.loads(pickle.dumps(error))) == str(error)
    if isinstance(error, nmhit.Error):
        (message,) = error.messages
        assert (message.filename, message.line, message.column) == ("a.i", 3, 5)
        assert message.message == "no such thing"


def test_collected_errors_have_a_line_each_and_stop_at_twenty():
    errors = [InputError(Where("a.i", i + 1, 1), "wrong") for i in range(30)]
    lines = str(InputErrors([*errors, errors[0]])).split("\n")
    assert len(lines) == 21
    assert lines[0] == "a.i:1:1: wrong"
    assert lines[-1] == "... and 10 more"
    assert str(pickle.loads(pickle.dumps(InputErrors(errors[:2])))) == "a.i:1:1: wrong\na.i:2:1: wrong"
