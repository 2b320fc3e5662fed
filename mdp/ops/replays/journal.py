"""The state of all replay requests, folded from the records of the control topic."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import islice

from msgspec.structs import replace

from contracts.payloads.replay_status import ReplayStatus
from mdp.ops.replays.asked import Asked

_Key = tuple[str, str]  # id and digest


@dataclass(slots=True)
class Entry:
    """A request, and its last status; `is_pending` until it is answered."""

    asked: Asked
    status: ReplayStatus | None = None
    is_pending: bool = True


class Journal:
    """Requests by what they ask for, in the order in which they were first asked.

    Asking twice is asking once, unless the request was refused or has failed: then it is judged again.
    """

    def __init__(self) -> None:
        self._entries: dict[_Key, Entry] = {}
        self._open: dict[_Key, Entry] = {}  # of these, those that are pending or running
        self._owners: dict[str, _Key] = {}  # which request an id belongs to

    def hear(self, asked: Asked) -> None:
        """Notes that something was asked."""
        key = asked.id, asked.digest
        entry = self._entries.setdefault(key, Entry(asked))
        if entry.status is None or entry.status.state in ("refused", "failed"):
            entry.asked, entry.is_pending = self._with_flaw(asked, key), True
            self._open[key] = entry

    def apply(self, status: ReplayStatus) -> None:
        """Notes a status; one of a request that is no longer known says nothing."""
        key = status.request_id, status.request
        entry = self._entries.get(key)
        if entry is None:
            return
        entry.is_pending = False
        if status.state in ("running", "done"):
            self._owners[status.request_id] = key
        if status.state in ("running", "failed"):
            entry.status = status
        else:
            entry.status = replace(status, left=None)
        if status.state == "running":
            self._open[key] = entry
        else:
            self._open.pop(key, None)
            entry.asked = entry.asked._replace(request=None)  # whoever asks again, says what

    def pending(self, most: int) -> list[Entry]:
        """The first requests that wait for an answer."""
        return list(islice((entry for entry in self._open.values() if entry.is_pending), most))

    def running(self) -> list[Entry]:
        """The requests that are being served, the first first."""
        return [entry for entry in self._open.values() if not entry.is_pending]

    def _with_flaw(self, asked: Asked, key: _Key) -> Asked:
        owner = self._owners.get(asked.id, key)
        owning = self._entries.get(owner)
        if owner == key or owning is None or (owning.status is not None and owning.status.state == "refused"):
            self._owners[asked.id] = key
            return asked
        return asked._replace(flaw=f"the id {asked.id} is that of another request: take another id")
