/** More would only multiply the dials: N1 needs a majority of them. */
export const urlsMax = 8

/**
 * The signaling URLs of `join`'s options, normalised and without duplicates; none is an empty list. Throws TypeError for
 * what is no ws or wss URL, and RangeError for more than `urlsMax`.
 */
export function parseSignalingUrls(input: string | readonly string[] | undefined): string[] {
  if (input === undefined) return []
  if (typeof input !== 'string' && !Array.isArray(input)) {
    throw new TypeError(`signaling: expected a URL or a list of URLs, got ${typeof input}`)
  }
  const urls = new Set((typeof input === 'string' ? [input] : input).map(parseUrl))
  if (urls.size > urlsMax) throw new RangeError(`signaling: expected at most ${urlsMax} URLs, got ${urls.size}`)
  return [...urls]
}

function parseUrl(input: unknown): string {
  const url = parse(input)
  if (!url || (url.protocol !== 'ws:' && url.protocol !== 'wss:')) {
    throw new TypeError(`signaling: expected a ws: or wss: URL, got ${JSON.stringify(input)}`)
  }
  // WebSocket refuses a fragment, and one never leaves the browser.
  url.hash = ''
  return url.href
}

function parse(input: unknown): URL | null {
  try {
    return typeof input === 'string' ? new URL(input) : null
  } catch {
    return null
  }
}
