// The visitor's choices, kept in the address of the page, so that it can be bookmarked and shared.

const KEPT = ["provider", "interval", "symbol", "rollup", "features", "listed", "order", "signal"];

const address = new URL(location.href);
export const wanted = Object.fromEntries([...KEPT, "search"].map((key) => [key, ""]));
for (const key of KEPT) wanted[key] = address.searchParams.get(key) ?? "";
address.searchParams.delete("token"); // replaced by the cookie
history.replaceState(null, "", address);

export function keep(change) {
  Object.assign(wanted, change);
  for (const key of KEPT) {
    if (wanted[key]) address.searchParams.set(key, wanted[key]);
    else address.searchParams.delete(key);
  }
  history.replaceState(null, "", address);
}
