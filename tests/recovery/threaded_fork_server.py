"""`mdp.runtime.fork_server` with a thread, which a fork would leave behind in the middle of what it is about."""

from __future__ import annotations

import threading

from mdp.runtime import fork_server


def main() -> None:
    threading.Thread(target=threading.Event().wait, daemon=True).start()
    fork_server.main()


if __name__ == "__main__":
    main()
