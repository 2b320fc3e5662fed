import signal
import subprocess
import sys

import pytest

LOSES_EXCEPTIONS = """
import time
from flows import stop

stop.before_the_start()
print("ready", flush=True)
while True:
    try:
        time.sleep(0.01)
    except SystemExit:
        pass  # as a library does that calls back from C
"""


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_before_the_start_ends_a_process_that_loses_the_exception(number: signal.Signals) -> None:
    command = [sys.executable, "-c", LOSES_EXCEPTIONS]
    with subprocess.Popen(command, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"ready\n"
        process.send_signal(number)
        assert process.wait(10) == 0
