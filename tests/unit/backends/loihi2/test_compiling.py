"""What is printed while something compiles is kept, whoever prints it, and passed on."""

import os

from pumice.backends.loihi2.compiling import printing


def test_all_that_is_printed_is_kept_and_passed_on(capfd):
    with printing() as printed:
        os.write(1, b"from here\n")
        os.write(2, b"as an error\n")
        os.system("echo from a child")
    os.write(1, b"behind\n")
    assert printed.text.splitlines() == ["from here", "as an error", "from a child"]
    out, err = capfd.readouterr()
    assert out == "behind\n"
    assert "from a child" in err
