/** What to call back, in the order of asking. */
const waiting: (() => void)[] = []
let port: MessagePort | null = null

/**
 * Runs it in a task of its own behind those that this thread has been given already. No timer: those are not let run more often than every
 * 4 ms once they come of each other.
 */
export function afterQueued(run: () => void): void {
  port ??= open()
  waiting.push(run)
  port.postMessage(null)
}

function open(): MessagePort {
  const { port1, port2 } = new MessageChannel()
  port1.onmessage = () => waiting.shift()?.()
  return port2
}
