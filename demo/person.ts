/** Who is who: a friendly name and a color for this tab, and those that the other peers declared. */
import type { Member } from '../src/index.js'
import { el } from './dom.js'

/** Declared at `join` as the peer's state, and kept with the text that it wrote. */
export type Person = {
  readonly name: string
  /** Degrees on the OKLCH wheel; lightness and chroma are the theme's. */
  readonly hue: number
}

const colors: readonly (readonly [string, number])[] = [
  ['Rose', 5],
  ['Coral', 38],
  ['Amber', 72],
  ['Olive', 112],
  ['Fern', 146],
  ['Teal', 190],
  ['Azure', 236],
  ['Indigo', 272],
  ['Violet', 302],
  ['Plum', 336],
]
const animals = 'Badger Crane Finch Fox Hare Heron Lynx Marten Otter Owl Robin Seal Stoat Swift Vole Wren'.split(' ')
const nameMax = 40
const storageKey = 'comity-demo:person'

/** What another peer sent is checked before it is shown. */
export function parsePerson(value: unknown): Person | null {
  if (typeof value !== 'object' || value === null) return null
  const { name, hue } = value as Record<string, unknown>
  if (typeof name !== 'string' || name.length === 0 || name.length > nameMax) return null
  return typeof hue === 'number' && hue >= 0 && hue < 360 ? { name, hue } : null
}

/**
 * This tab's person: the one it had before a reload, else a new one whose color no other tab of this browser has. A
 * duplicated tab has a copy of the session storage, so a color belongs to whoever holds its Web Lock.
 */
export async function claimPerson(): Promise<Person> {
  const before = recall()
  if (before && (await claimColor(before.hue))) return before
  for (const [color, hue] of shuffled(colors)) if (await claimColor(hue)) return remember(draw(color, hue))
  const [color, hue] = shuffled(colors)[0] ?? ['Grey', 0]
  return remember(draw(color, hue))
}

function draw(color: string, hue: number): Person {
  return { name: `${color} ${shuffled(animals)[0]}`, hue }
}

function claimColor(hue: number): Promise<boolean> {
  return new Promise((resolve) => {
    const hold = (lock: Lock | null) => {
      resolve(lock !== null)
      // Given back with the page, or when it is put aside: a page that holds a lock is not kept.
      return lock && new Promise<void>((release) => addEventListener('pagehide', () => release(), { once: true }))
    }
    if (!navigator.locks) resolve(true)
    else navigator.locks.request(`comity-demo:color:${hue}`, { ifAvailable: true }, hold).catch(() => resolve(true))
  })
}

function recall(): Person | null {
  try {
    return parsePerson(JSON.parse(sessionStorage.getItem(storageKey) ?? 'null'))
  } catch {
    return null
  }
}

function remember(person: Person): Person {
  try {
    sessionStorage.setItem(storageKey, JSON.stringify(person))
  } catch {
    // Without storage a reload is somebody else.
  }
  return person
}

function shuffled<T>(items: readonly T[]): T[] {
  return items
    .map((item) => ({ item, at: Math.random() }))
    .sort((a, b) => a.at - b.at)
    .map(({ item }) => item)
}

export function shortId(peerId: string): string {
  return peerId.slice(0, 6)
}

/** Names for peer ids; remembers those that have gone, since the log still speaks of them. */
export class Directory {
  readonly #known = new Map<string, Person>()
  #self = ''

  isSelf(peerId: string): boolean {
    return peerId === this.#self
  }

  setSelf(peerId: string, person: Person): void {
    this.#self = peerId
    this.#known.set(peerId, person)
  }

  learn(members: readonly Member[]): void {
    for (const { peerId, self, state } of members) {
      const person = parsePerson(state)
      if (person && !self) this.#known.set(peerId, person)
    }
  }

  /** A peer that declared nothing, such as one whose tab was closed and is not back, goes by its id. */
  person(peerId: string): Person {
    return this.#known.get(peerId) ?? { name: `Peer ${shortId(peerId)}`, hue: 250 }
  }

  name(peerId: string): string {
    return this.#known.has(peerId) || peerId !== '' ? this.person(peerId).name : 'nobody'
  }
}

/** Name with color. */
export function chip(person: Person, you: boolean): HTMLElement {
  const dot = el('span', { class: 'dot' })
  dot.ariaHidden = 'true'
  const element = el('span', { class: 'chip' }, dot, el('span', { class: 'chip-name', text: person.name }))
  element.style.setProperty('--hue', String(person.hue))
  if (you) element.append(el('span', { class: 'you', text: 'you' }))
  return element
}
