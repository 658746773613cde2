/** What has happened, newest first, as far as this page has seen it. */
import { byId, el, setText } from './dom.js'
import type { Directory } from './person.js'

const kept = 30

interface Entry {
  readonly element: HTMLElement
  readonly text: HTMLElement
  readonly say: () => string
  readonly peerId: string | null
}

export class EventLog {
  readonly #list = byId('log', HTMLElement)
  readonly #directory: Directory
  #entries: Entry[] = []

  constructor(directory: Directory) {
    this.#directory = directory
  }

  /** A text that names peers is a function: some names are learned after what their peers did. */
  add(text: string | (() => string), peerId: string | null = null): void {
    const now = new Date()
    const time = el('time', { text: now.toTimeString().slice(0, 8) })
    time.dateTime = now.toISOString()
    const entry = {
      text: el('span'),
      element: el('li', { class: peerId === null ? '' : 'by' }, time),
      say: typeof text === 'function' ? text : () => text,
      peerId,
    }
    entry.element.append(entry.text)
    this.#list.prepend(entry.element)
    this.#entries.unshift(entry)
    for (const { element } of this.#entries.splice(kept)) element.remove()
    this.#show(entry)
  }

  /** Somebody has become known. */
  refresh(): void {
    for (const entry of this.#entries) this.#show(entry)
  }

  #show({ element, text, say, peerId }: Entry): void {
    setText(text, say())
    if (peerId !== null) element.style.setProperty('--hue', String(this.#directory.person(peerId).hue))
  }
}
