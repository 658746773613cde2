import type { Change, DeleteChange, ResyncChange, SetChange } from '../../client/store-watch.js'
import { compareStrings } from '../../shared/codec.js'
import { encodeValue, type Value } from '../../shared/value.js'
import type { World } from '../world.js'
import type { ChangeBooks, Kept, TrueChange } from './changes.js'

type KeyChange = SetChange | DeleteChange

/** Where a watch stands. */
type Place =
  /** So many of all changes are told, or of no concern. */
  | { readonly type: 'behind'; readonly count: number }
  /** Nothing is told yet: it begins at some entry after that revision, or where the next host stands if this one has not said where it began. */
  | { readonly type: 'now'; readonly since: number; readonly isSameHost: () => boolean }
  /** It is to be told everything, as of that revision or a later one. */
  | { readonly type: 'anew'; readonly since: number }
  /** It is being told how things were at that revision; `keys` are those that are still to come. */
  | {
      readonly type: 'resync'
      readonly revision: number
      readonly keys: readonly (readonly [string, Kept])[]
      readonly gone: string | null
    }

/**
 * What one user was told by `store.watch`, over all that became of its page and its host: every change of the prefix, in the order of the
 * room, none twice and none skipped; or one batch that says how things are, and goes on from there.
 */
export class WatchChecker {
  readonly #world: World
  readonly #books: ChangeBooks
  readonly #name: string
  readonly #prefix: string
  #place: Place = { type: 'anew', since: 0 }
  #last = 'nothing'
  /** Of a watch that began `now`: what came first, and what its user wrote after it began. */
  #first: number | null = null
  #own: number | null = null
  #begun = 0

  constructor(world: World, books: ChangeBooks, name: string, prefix: string) {
    this.#world = world
    this.#books = books
    this.#name = name
    this.#prefix = prefix
  }

  /** All has been told, and nothing half. */
  get isCaughtUp(): boolean {
    const place = this.#place
    // When it began nobody knows, but it was before what its user wrote after.
    return place.type === 'now' ? this.#own === null : place.type === 'behind' && this.#nextAt(place.count) === null
  }

  /** For an account of what is missing. */
  get story(): string {
    const place = this.#place
    const next = place.type === 'behind' ? textOf(this.#nextAt(place.count)) : place.type
    return `${this.#name}: the last it was told of '${this.#prefix}' was ${this.#last}, to come is ${next}`
  }

  beginAfter(revision: number): void {
    this.#begin({ type: 'behind', count: this.#books.countUpTo(revision) })
  }

  beginAnew(since: number): void {
    this.#begin({ type: 'anew', since })
  }

  beginNow(since: number, isSameHost: () => boolean): void {
    this.#begin({ type: 'now', since, isSameHost })
  }

  /** Its user writes a key of this prefix: gives whom to tell its revision, since this watch is to tell it if it runs already. */
  writes(): (revision: number) => void {
    const begun = this.#begun
    return (revision) => {
      if (begun !== this.#begun) return
      this.#own = revision
      this.#checkFirst()
    }
  }

  /** `mayHaveGap`: whether it may not be known any more what came right after that revision. */
  told(change: Change, mayHaveGap: (revision: number) => boolean): void {
    const place = this.#place
    if (change.type === 'resync') this.#resync(change, place, mayHaveGap)
    else if (change.resync) this.#isNow(change, place)
    else if (place.type === 'behind') this.#changed(change, place.count)
    else if (place.type === 'now') this.#changed(change, this.#beginningOf(change, sinceOf(place)))
    else this.#convict(change, 'everything anew')
    this.#last = `${change.type} ${change.key ?? ''} at ${change.revision}`
  }

  #begin(place: Place): void {
    this.#begun += 1
    this.#place = place
    this.#first = null
    this.#own = null
  }

  #changed(change: KeyChange, count: number): void {
    const next = this.#nextAt(count)
    const after = next ? this.#books.all.indexOf(next, count) + 1 : count
    const isLast = this.#nextAt(after)?.revision !== next?.revision
    if (!next || !isSame(change, next) || change.last !== isLast) this.#convict(change, textOf(next))
    this.#place = { type: 'behind', count: after }
  }

  /** Of an entry all is told. */
  #beginningOf({ revision }: KeyChange, since: number): number {
    this.#first = revision
    this.#checkFirst()
    if (revision <= since) this.#world.convict('watch', `${this.#name} was told of ${revision}, from ${since} on`)
    return this.#books.countUpTo(revision - 1)
  }

  #checkFirst(): void {
    if (this.#first !== null && this.#own !== null && this.#first > this.#own)
      this.#world.convict('watch', `${this.#name} was not told of its own ${this.#own}, but of ${this.#first} first`)
  }

  #resync(change: ResyncChange, place: Place, mayHaveGap: (revision: number) => boolean): void {
    this.#world.coverage.hit('watch resync')
    const { revision } = change
    const since = place.type === 'behind' ? this.#toldUpTo(place.count) : sinceOf(place)
    // Begun by a peer that was in no room, or where nobody knows any more, it may have to begin with everything.
    const isFromNothing = place.type === 'now' && since === 0
    const isDue = place.type === 'anew' || isFromNothing || mayHaveGap(since)
    if (place.type === 'resync' || revision < since || !isDue) this.#convict(change, `what came after ${since}`)
    this.#place = { type: 'resync', revision, keys: this.#books.at(revision, this.#prefix), gone: '' }
    this.#endOf(change)
  }

  /** All of it: of an entry that is told in part the rest may not be known any more. */
  #toldUpTo(count: number): number {
    const last = this.#books.all[count - 1]?.revision ?? 0
    return this.#nextAt(count)?.revision === last ? last - 1 : last
  }

  /** First what is gone, and then what is there, each by key. */
  #isNow(change: KeyChange, place: Place): void {
    if (place.type !== 'resync') {
      this.#convict(change, 'the beginning of a resync')
      return
    }
    const { revision, keys, gone } = place
    const { key } = change
    if (change.type === 'delete') {
      const isThere = this.#books.at(revision, this.#prefix).some(([there]) => there === key)
      const isNext = gone !== null && compareStrings(gone, key) < 0
      if (isThere || !isNext || !key.startsWith(this.#prefix)) this.#convict(change, `as of ${revision}`)
      this.#place = { ...place, gone: key }
    } else {
      const [next, ...rest] = keys
      const isNext = next && next[0] === key && isKept(change, next[1]) && change.previous === undefined
      if (!isNext) this.#convict(change, next ? `${next[0]} of ${next[1].revision}` : 'nothing more')
      this.#place = { ...place, keys: rest, gone: null }
    }
    this.#endOf(change)
  }

  #endOf(change: Change): void {
    const place = this.#place
    if (place.type !== 'resync' || !change.last) return
    const [next] = place.keys
    if (next) this.#convict(change, `${next[0]} of ${next[1].revision} as well`)
    this.#place = { type: 'behind', count: this.#books.countUpTo(place.revision) }
  }

  #nextAt(count: number): TrueChange | null {
    for (let i = count; i < this.#books.all.length; i++) {
      const change = this.#books.all[i]
      if (change?.key.startsWith(this.#prefix)) return change
    }
    return null
  }

  #convict({ type, key, revision, last, resync }: Change, next: string): void {
    const told = `${type} ${key ?? ''} at ${revision}${last ? ', the last,' : ''}${resync ? ' in a resync' : ''}`
    const before = `after ${this.#last}`
    this.#world.convict('watch', `${this.#name} was told of '${this.#prefix}' ${told} ${before}, and it was ${next}`)
  }
}

function sinceOf(place: Exclude<Place, { readonly type: 'behind' }>): number {
  if (place.type === 'resync') return place.revision
  return place.type === 'now' && !place.isSameHost() ? 0 : place.since
}

function isSame(change: KeyChange, { key, revision, now, previous }: TrueChange): boolean {
  if (change.key !== key || change.revision !== revision) return false
  if (change.type === 'set' ? !now || !isKept(change, now) : now !== null) return false
  const before = change.previous
  if (!previous || !before) return !previous && !before
  return before.revision === previous.revision && isEqual(before.value, previous.value)
}

function isKept({ value, revision, ephemeral }: SetChange, kept: Kept): boolean {
  return revision === kept.revision && ephemeral === kept.ephemeral && isEqual(value, kept.value)
}

function isEqual(value: Value, bytes: Uint8Array): boolean {
  const encoded = encodeValue(value)
  return encoded.length === bytes.length && encoded.every((byte, i) => byte === bytes[i])
}

function textOf(change: TrueChange | null): string {
  return change ? `${change.now ? 'set' : 'delete'} ${change.key} at ${change.revision}` : 'nothing'
}
