/** One line under the header that is always there: what the room is doing, and what that means for the person. */
import type { Room } from '../src/index.js'
import { byId, messageOf, setText } from './dom.js'
import type { Directory, Person } from './person.js'

/** A room that is not found by then may need a hint, ms. */
const hintAfter = 4_000
/** An election takes less, most times, and is then not worth a word, ms. */
const leaderlessAfter = 500

interface Line {
  readonly tone: 'calm' | 'busy' | 'rest' | 'alarm'
  readonly text: string
  readonly reload?: string
}

export class StatusLine {
  readonly #element = byId('status-line', HTMLElement)
  readonly #text = byId('status-text', HTMLElement)
  readonly #reload = byId('status-reload', HTMLButtonElement)
  readonly #startedAt = performance.now()
  #shown: Line = { tone: 'busy', text: 'Starting this peer…' }
  #ledAt = Number.NEGATIVE_INFINITY
  #room: Room<Person> | null = null
  #directory: Directory | null = null
  #missing: readonly string[] = []
  #failure: unknown = null
  #hint = ''
  #isWorkerEnded = false

  constructor() {
    this.#reload.addEventListener('click', () => location.reload())
    setInterval(() => this.render(), leaderlessAfter)
    this.render()
  }

  follow(room: Room<Person>, directory: Directory): void {
    this.#room = room
    this.#directory = directory
    room.addEventListener('statuschange', ({ detail }) => {
      this.#missing = detail.missing
      this.render()
    })
    room.addEventListener('leaderchange', () => this.render())
    room.members.subscribe(() => this.render())
  }

  /** `join` was refused. */
  fail(error: unknown): void {
    setText(byId('status', HTMLElement), 'failed')
    this.#failure = error
    this.render()
  }

  workerEnded(): void {
    this.#isWorkerEnded = true
    this.render()
  }

  /** Why the room may be hard to find. */
  hint(text: string): void {
    this.#hint = text
  }

  render(): void {
    this.#shown = this.#line()
    const { tone, text, reload } = this.#shown
    this.#element.dataset['tone'] = tone
    setText(this.#text, text)
    this.#reload.hidden = reload === undefined
    setText(this.#reload, reload ?? 'Reload')
  }

  #line(): Line {
    if (this.#failure !== null) return { tone: 'alarm', text: `${messageOf(this.#failure)}.`, reload: 'Reload' }
    if (this.#isWorkerEnded) {
      const text = 'You ended this peer’s worker. To the others it has crashed; this page can do nothing any more.'
      return { tone: 'alarm', text, reload: 'Come back' }
    }
    const room = this.#room
    if (!room) return { tone: 'busy', text: 'Starting this peer…' }
    switch (room.status) {
      case 'joining':
        return { tone: 'busy', text: this.#joining() }
      case 'ready':
        return this.#ready(room)
      case 'no-quorum':
        return { tone: 'alarm', text: this.#noQuorum() }
      case 'suspended':
        return { tone: 'busy', text: 'This page was put aside by the browser and comes back to the room.' }
      case 'failed':
        return { tone: 'alarm', text: `This peer has stopped: ${messageOf(room.error)}.`, reload: 'Reload' }
      case 'left':
        return { tone: 'rest', text: 'You left the room; it goes on without you.', reload: 'Come back' }
    }
  }

  #joining(): string {
    const isLong = performance.now() - this.#startedAt > hintAfter
    return isLong && this.#hint !== '' ? `Still looking for the room. ${this.#hint}` : 'Looking for the room…'
  }

  #ready({ leader, members }: Room<Person>): Line {
    if (leader === null) {
      const isShort = performance.now() - this.#ledAt < leaderlessAfter
      return isShort ? this.#shown : { tone: 'busy', text: 'No leader at the moment: the peers are electing one.' }
    }
    this.#ledAt = performance.now()
    const { length } = members.current
    const away = members.current.filter(({ connected }) => !connected).length
    const who = this.#directory?.isSelf(leader) ? 'You lead' : `${this.#directory?.name(leader)} leads`
    const count = length === 1 ? 'you are alone so far: open another tab' : `${length} members`
    const links = length === 1 ? '' : away === 0 ? ', all connected' : `, ${away} not connected to this page`
    return { tone: 'calm', text: `${who} · ${count}${links}` }
  }

  #noQuorum(): string {
    const names = this.#missing.map((peerId) => this.#directory?.name(peerId) ?? peerId)
    const who = names.length > 0 ? ` Missing: ${names.join(', ')}.` : ''
    return `No majority can be reached, so nothing can change now.${who} What you have typed stays here.`
  }
}
