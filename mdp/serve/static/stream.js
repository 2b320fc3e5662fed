// The stream of news. It comes back by itself; what it then says is complete, so nothing has to be asked for again.

const RETRY_MS = 2000;

export class Stream {
  // `tell` maps kinds of news to functions, `begin` among them for a new stream, and `state` is told "connected", "connecting" or "paused".
  constructor(tell, state) {
    this.tell = tell;
    this.state = state;
    this.source = null;
  }

  // Nobody sees it: the server has nothing to do for it then.
  pause() {
    this.source?.close();
    clearTimeout(this.retry);
    this.state("paused");
  }

  // Looks at something else from now on.
  open(wanted) {
    this.pause();
    this.state("connecting");
    const query = new URLSearchParams(Object.entries(wanted).filter(([, value]) => value));
    const source = (this.source = new EventSource(`/api/stream?${query}`));
    source.onopen = () => {
      this.tell.begin();
      this.state("connected");
    };
    source.onerror = () => {
      this.state("connecting");
      if (source.readyState === EventSource.CLOSED) this.retry = setTimeout(() => this.again(wanted), RETRY_MS);
    };
    for (const [kind, tell] of Object.entries(this.tell)) {
      source.addEventListener(kind, (event) => source === this.source && tell(JSON.parse(event.data)));
    }
  }

  // The server has refused: perhaps it wants the token again.
  async again(wanted) {
    const answer = await fetch("/", { method: "HEAD" }).catch(() => null);
    if (answer?.status === 401) location.reload();
    else this.open(wanted);
  }
}
