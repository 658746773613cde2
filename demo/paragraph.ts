/**
 * One paragraph: its text in the store, its lock, and what this page has of both. Text and holder come from the room
 * alone, and every write carries the token of the lock it is made under.
 */
import {
  type Lock,
  LockLostError,
  type LockObservation,
  type Revised,
  type Room,
  StaleFenceError,
  type Value,
} from '../src/index.js'
import { defaults, type Part } from './content.js'
import { messageOf } from './dom.js'
import type { EventLog } from './event-log.js'
import { LatestWriter, type WriterState } from './latest-writer.js'
import { type Card, CardView, type Notice } from './paragraph-view.js'
import { type Directory, type Person, parsePerson } from './person.js'

export interface ParagraphContext {
  readonly room: Room<Person>
  readonly self: Person
  readonly directory: Directory
  /** Something changed who holds or waits. */
  readonly lockChanged: () => void
  /** The token of a lock that somebody holds, as far as is known. */
  readonly tokenOf: (lock: string) => number | null
  /** Whether this page can take part at the moment. */
  readonly isPresent: () => boolean
  readonly log: EventLog
  readonly announce: (text: string) => void
  /** The person may write now. */
  readonly granted: (number: number) => void
}

/** What this page is doing with the lock. */
type Doing =
  | { readonly type: 'nothing' }
  | { readonly type: 'asking'; readonly controller: AbortController }
  | { readonly type: 'opening'; readonly lock: Lock }
  | { readonly type: 'editing'; readonly lock: Lock; readonly writer: LatestWriter; readonly saving: WriterState }
  | { readonly type: 'closing'; readonly lock: Lock; readonly writer: LatestWriter; readonly saving: WriterState }

export class Paragraph {
  readonly #part: Part
  readonly #context: ParagraphContext
  readonly #view: CardView
  #doing: Doing = { type: 'nothing' }
  #notice: Notice | null = null
  #lock: LockObservation | null = null
  /** The store has spoken, or the room has, and there is nothing in it. */
  #isLoaded = false
  #text: { readonly text: string; readonly by: Person | null }

  constructor(part: Part, context: ParagraphContext) {
    this.#part = part
    this.#context = context
    this.#text = { text: part.text, by: null }
    this.#view = new CardView(part.number, {
      edit: () => void this.#edit(),
      cancel: () => this.#cancel(),
      done: () => void this.done(),
      input: (text) => this.#input(text),
      dismiss: () => this.#setNotice(null),
    })
    context.room.locks.observe(part.lock).subscribe((lock) => this.#observed(lock))
    context.room.store.observe(part.key).subscribe((record) => this.#stored(record))
    this.render()
  }

  get element(): HTMLElement {
    return this.#view.element
  }

  /** Typed, and not confirmed by the room. */
  get unsaved(): boolean {
    const doing = this.#doing
    return (doing.type === 'editing' || doing.type === 'closing') && doing.writer.unsaved !== null
  }

  /** Also called by the clock: the certainty of a lock ends without an event. */
  render(): void {
    this.#isLoaded ||= this.#context.room.status !== 'joining'
    this.#view.render(this.#card())
  }

  #card(): Card {
    const { room, self, directory, tokenOf } = this.#context
    const mode = this.#mode()
    const { holder = null, waiters = [] } = mode === 'away' ? {} : (this.#lock ?? {})
    const doing = this.#doing
    const show = (peerId: string) => ({ person: directory.person(peerId), you: directory.isSelf(peerId) })
    const mine = 'lock' in doing ? doing.lock : null
    const place = waiters.indexOf(room.peerId) + 1
    return {
      mode,
      text: this.#text.text,
      by: this.#text.by,
      holder: mine ? { person: self, you: true } : holder === null ? null : show(holder),
      token: mine ? mine.token : holder === null ? null : tokenOf(this.#part.lock),
      queue: waiters.map(show),
      place: place > 0 ? place : null,
      saving: 'saving' in doing ? this.#savingOf(doing.saving) : null,
      loading: !this.#isLoaded,
      notice: this.#notice,
    }
  }

  #savingOf(saving: WriterState): Card['saving'] {
    return saving !== 'saved' && this.#context.room.status === 'no-quorum' ? 'stuck' : saving
  }

  #mode(): Card['mode'] {
    const doing = this.#doing
    switch (doing.type) {
      case 'nothing':
        if (!this.#context.isPresent()) return 'away'
        return (this.#lock?.holder ?? null) === null ? 'free' : 'taken'
      case 'asking':
        return 'waiting'
      case 'editing':
        return doing.lock.state === 'unsure' ? 'unsure' : 'held'
      default:
        return doing.type
    }
  }

  async #edit(): Promise<void> {
    if (this.#doing.type !== 'nothing') return
    const { room, self } = this.#context
    const controller = new AbortController()
    this.#notice = null
    this.#do({ type: 'asking', controller })
    let lock: Lock
    try {
      lock = await room.locks.acquire(this.#part.lock, { signal: controller.signal, attributes: self })
    } catch (error) {
      this.#do({ type: 'nothing' })
      if (!controller.signal.aborted) this.#setNotice({ text: `The lock was not granted: ${messageOf(error)}.` })
      return
    }
    this.#do({ type: 'opening', lock })
    lock.signal.addEventListener('abort', () => this.#lost(lock, lock.signal.reason))
    await this.#open(lock)
  }

  /** Under the lock nobody else writes, so a read that is linearizable now is the text until this page changes it. */
  async #open(lock: Lock): Promise<void> {
    const { room, self, granted } = this.#context
    let initial: string
    try {
      initial = parseText(await room.store.get(this.#part.key))?.text ?? this.#part.text
    } catch (error) {
      if (this.#has(lock)) this.#giveUp(lock, `The text could not be read: ${messageOf(error)}.`)
      return
    }
    if (!this.#has(lock)) return
    const writer = new LatestWriter({
      initial,
      write: (text) => room.store.set(this.#part.key, { text, by: self }, { fence: lock }),
      // The same text under the same token may be written twice: nobody else has written in between.
      mayRetry: (error) => !(error instanceof StaleFenceError) && lock.state !== 'lost' && room.status !== 'failed',
      onState: (saving) => this.#saving(lock, saving),
      onFailure: (error) => this.#lost(lock, error),
    })
    this.#view.startEditing(initial)
    this.#do({ type: 'editing', lock, writer, saving: 'saved' })
    granted(this.#part.number)
  }

  #input(text: string): void {
    if (this.#doing.type === 'editing') this.#doing.writer.set(text)
  }

  #cancel(): void {
    if (this.#doing.type === 'asking') this.#doing.controller.abort()
  }

  /** The last word first, then the lock. Does nothing unless this page edits the paragraph. */
  async done(): Promise<void> {
    const doing = this.#doing
    if (doing.type !== 'editing') return
    const { lock, writer } = doing
    this.#do({ ...doing, type: 'closing' })
    await writer.flush()
    if (!this.#has(lock)) return
    try {
      await lock.release()
      if (this.#has(lock)) this.#do({ type: 'nothing' })
    } catch (error) {
      if (this.#has(lock)) this.#giveUp(lock, `The lock was not given back in good order: ${messageOf(error)}.`)
    }
  }

  #giveUp(lock: Lock, text: string): void {
    this.#do({ type: 'nothing' })
    this.#setNotice({ text })
    lock.release().catch(() => {})
  }

  /** By the room's word, or because it refused a write. What it has not confirmed stays with the person who typed it. */
  #lost(lock: Lock, error: unknown): void {
    const doing = this.#doing
    if (!this.#has(lock) || doing.type === 'nothing') return
    const unsaved = 'writer' in doing ? doing.writer.unsaved : null
    if ('writer' in doing) doing.writer.stop()
    this.#do({ type: 'nothing' })
    const what = unsaved === null ? 'Everything you typed was saved.' : 'This was not saved any more:'
    this.#setNotice({ text: `${lossSentence(error)} ${what}`, ...(unsaved !== null && { unsaved }) })
    this.#context.log.add(`You lost paragraph ${this.#part.number}`, this.#context.room.peerId)
    this.#context.announce(`You lost the lock of paragraph ${this.#part.number}.`)
    lock.release().catch(() => {})
  }

  #has(lock: Lock): boolean {
    return 'lock' in this.#doing && this.#doing.lock === lock
  }

  #saving(lock: Lock, saving: WriterState): void {
    const doing = this.#doing
    if (this.#has(lock) && 'saving' in doing) this.#do({ ...doing, saving })
  }

  #do(doing: Doing): void {
    this.#doing = doing
    this.render()
    this.#context.lockChanged()
  }

  #setNotice(notice: Notice | null): void {
    this.#notice = notice
    this.render()
  }

  #stored(record: Revised<Value> | undefined): void {
    this.#isLoaded ||= record !== undefined
    this.#text = parseText(record) ?? { text: defaults[this.#part.number - 1] ?? '', by: null }
    this.render()
  }

  #observed(lock: LockObservation): void {
    const before = this.#lock
    this.#lock = lock
    this.render()
    if (before?.holder !== lock.holder || before.waiters.join() !== lock.waiters.join()) this.#context.lockChanged()
    // Before that it is what this peer's own disk remembers, and may be long past.
    if (before && before.holder !== lock.holder && this.#context.room.status === 'ready') this.#tell(lock.holder)
  }

  #tell(holder: string | null): void {
    const { directory, log, announce } = this.#context
    const { number } = this.#part
    if (holder === null) {
      log.add(`Paragraph ${number} is free`)
    } else {
      const sentence = () =>
        `${directory.isSelf(holder) ? 'You hold' : `${directory.name(holder)} holds`} paragraph ${number}`
      log.add(sentence, holder)
      if (!directory.isSelf(holder)) announce(`${sentence()}.`)
    }
  }
}

function parseText(record: Revised<Value> | undefined): { text: string; by: Person | null } | null {
  const value = record?.value
  if (typeof value !== 'object' || value === null) return null
  const { text, by } = value as Record<string, unknown>
  return typeof text === 'string' ? { text, by: parsePerson(by) } : null
}

function lossSentence(error: unknown): string {
  if (error instanceof StaleFenceError) return 'The room refused a write: its token is not current any more.'
  if (!(error instanceof LockLostError)) return `The lock is gone: ${messageOf(error)}.`
  switch (error.reason) {
    case 'expired':
    case 'frozen':
      return 'The room heard nothing from this page for too long, and passed the lock on.'
    case 'stolen':
    case 'revoked':
      return 'Somebody took the lock.'
    case 'left':
    case 'reset':
      return 'This page is not in the room any more, so it holds nothing.'
  }
}
