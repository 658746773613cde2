/** The faults that a person may want to try, and the state of what they break. */
import type { Room } from '../src/index.js'
import { byId, setText } from './dom.js'
import type { EventLog } from './event-log.js'
import type { Person } from './person.js'
import type { StatusLine } from './status-line.js'

const blockFor = 5_000
/** What is not saved by then keeps nobody from leaving, ms. */
const finishWithin = 2_000
/** Other tabs may stop and start it too, so it is asked this often, ms. */
const askEvery = 2_000

export interface FaultsContext {
  readonly room: Room<Person>
  readonly log: EventLog
  readonly status: StatusLine
  /** Saves and gives back what this page edits. */
  readonly finish: () => Promise<unknown>
  /** Ends the worker of this page's peer as a crash would; false if there is none. */
  readonly endWorker: () => boolean
}

export function connectFaults({ room, log, status, finish, endWorker }: FaultsContext): void {
  const leave = byId('leave', HTMLButtonElement)
  const end = byId('end-worker', HTMLButtonElement)
  leave.disabled = false
  end.disabled = false
  end.addEventListener('click', () => {
    if (!endWorker()) return
    end.disabled = true
    leave.disabled = true
    log.add('You ended this peer’s worker')
    status.workerEnded()
    document.body.classList.add('gone')
  })
  leave.addEventListener('click', () => {
    leave.disabled = true
    end.disabled = true
    // Without a majority nothing can be saved: then the text stays in the page.
    void Promise.race([finish(), new Promise((resolve) => setTimeout(resolve, finishWithin))]).then(() => room.leave())
  })
  connectBlock(log)
}

function connectBlock(log: EventLog): void {
  const block = byId('block-page', HTMLButtonElement)
  const curtain = byId('curtain', HTMLDialogElement)
  block.disabled = false
  block.addEventListener('click', () => {
    curtain.showModal()
    // Two frames later it is painted; its bar is moved by the compositor, which no script blocks.
    requestAnimationFrame(() =>
      requestAnimationFrame(() => {
        const until = performance.now() + blockFor
        while (performance.now() < until);
        curtain.close()
        log.add(`This page was blocked for ${blockFor / 1_000} s`)
      }),
    )
  })
}

/** Speaks to the demo's own server; the room does not know of it. */
export class SignalingSwitch {
  readonly #log: EventLog
  readonly #status: StatusLine
  readonly #stop = byId('stop-signaling', HTMLButtonElement)
  readonly #start = byId('start-signaling', HTMLButtonElement)
  readonly #state = byId('signaling-state', HTMLElement)
  #shown: boolean | null | undefined

  constructor(log: EventLog, status: StatusLine) {
    this.#log = log
    this.#status = status
    this.#stop.addEventListener('click', () => void this.#ask('/signaling/stop', 'POST'))
    this.#start.addEventListener('click', () => void this.#ask('/signaling/start', 'POST'))
    setInterval(() => {
      if (document.visibilityState === 'visible') void this.#ask('/signaling', 'GET')
    }, askEvery)
    void this.#ask('/signaling', 'GET')
  }

  async #ask(path: string, method: 'GET' | 'POST'): Promise<void> {
    try {
      const response = await fetch(path, { method, cache: 'no-store' })
      const { running } = (await response.json()) as { running?: unknown }
      if (typeof running === 'boolean') this.#show(running)
    } catch {
      this.#show(null)
    }
  }

  /** Null: the demo's server itself is gone, and with it the signaling server. */
  #show(running: boolean | null): void {
    const before = this.#shown
    if (running === before) return
    this.#shown = running
    const word = running === null ? 'gone' : running ? 'running' : 'stopped'
    setText(this.#state, word)
    this.#state.dataset['running'] = String(running)
    this.#stop.disabled = running !== true
    this.#start.disabled = running !== false
    this.#status.hint(running ? '' : 'The signaling server is away, so only tabs of this browser can be found.')
    if (before !== undefined) this.#log.add(`The signaling server is ${word}`)
  }
}

/** The choice is part of the address, so that it survives the reload that it needs. */
export function connectLinksSwitch(): 'auto' | 'webrtc' {
  const input = byId('links-switch', HTMLInputElement)
  const url = new URL(location.href)
  const links = url.searchParams.get('links') === 'webrtc' ? 'webrtc' : 'auto'
  input.checked = links === 'webrtc'
  input.addEventListener('change', () => {
    if (input.checked) url.searchParams.set('links', 'webrtc')
    else url.searchParams.delete('links')
    location.assign(url)
  })
  return links
}
