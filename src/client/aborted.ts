/**
 * Calls back when the signal aborts; gives back what ends that. A listener of the page can keep the event from all after it, but not from a
 * signal that depends on this one: so `run` may be called twice.
 */
export function whenAborted(signal: AbortSignal, run: () => void): () => void {
  const sources = typeof AbortSignal.any === 'function' ? [signal, AbortSignal.any([signal])] : [signal]
  for (const source of sources) source.addEventListener('abort', run)
  return () => {
    for (const source of sources) source.removeEventListener('abort', run)
  }
}
