// The stream of updates. It reconnects by itself, and then sends everything, so nothing has to be requested again.

const RETRY_MS = 2000;

export class Stream {
  // `handlers` maps kinds of updates to functions, with `begin` for a new stream; `state` gets "connected", "connecting" or "paused".
  constructor(handlers, state) {
    this.handlers = handlers;
    this.state = state;
    this.source = null;
  }

  // A hidden page costs the server nothing.
  pause() {
    this.source?.close();
    clearTimeout(this.retry);
    this.state("paused");
  }

  // Shows something else from now on.
  open(wanted) {
    this.pause();
    this.state("connecting");
    const query = new URLSearchParams(Object.entries(wanted).filter(([, value]) => value));
    const source = (this.source = new EventSource(`/api/stream?${query}`));
    source.onopen = () => {
      this.handlers.begin();
      this.state("connected");
    };
    source.onerror = () => {
      this.state("connecting");
      if (source.readyState === EventSource.CLOSED) this.retry = setTimeout(() => this.again(wanted), RETRY_MS);
    };
    for (const [kind, handle] of Object.entries(this.handlers)) {
      source.addEventListener(kind, (event) => source === this.source && handle(JSON.parse(event.data)));
    }
  }

  // The server has refused: the token may be required again.
  async again(wanted) {
    const answer = await fetch("/", { method: "HEAD" }).catch(() => null);
    if (answer?.status === 401) location.reload();
    else this.open(wanted);
  }
}
