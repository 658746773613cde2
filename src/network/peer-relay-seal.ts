/**
 * Frames that go through a third peer are sealed end to end (F4): X25519 between keys of the two incarnations, HKDF-SHA256
 * over both names, incarnations, keys and nonces, ChaCha20-Poly1305 with the lane and the number of the message as nonce. So
 * what was sealed for another life, another link, another lane or another place in the order does not open.
 *
 * All of it is synchronous and decided by what is given (WebCrypto is neither). The keys themselves are not authenticated:
 * a relay that lies about them from the first message on can sit in the middle, until there is a secret of the room to bind
 * them to. What it keeps out until then is a relay that only reads, repeats, reorders or leaves out.
 */
import { chacha20poly1305 } from '@noble/ciphers/chacha.js'
import { pow } from '@noble/curves/abstract/modular.js'
import { montgomery } from '@noble/curves/abstract/montgomery.js'
import { hkdf } from '@noble/hashes/hkdf.js'
import { sha256 } from '@noble/hashes/sha2.js'
import type { Incarnation } from '../raft/entry.js'
import { writeBytes, writeCount, writeText, written } from '../shared/bytes.js'
import type { Lane } from './link.js'

export const keyBytes = 32
export const nonceBytes = 16
export const tagBytes = 8

/** RFC 7748. Not `ed25519.js` of the same package: it brings the Edwards curve along, 7 KB for the worker. */
const p = 2n ** 255n - 19n
const x25519 = montgomery({
  P: p,
  type: 'x25519',
  powPminus2: (x) => pow(x, p - 2n, p),
  adjustScalarBytes: (bytes: Uint8Array) => {
    bytes[0] = (bytes[0] ?? 0) & 248
    bytes[31] = ((bytes[31] ?? 0) & 127) | 64
    return bytes
  },
})

/** One end of a link. */
export interface Party {
  readonly peerId: string
  readonly incarnation: Incarnation
  readonly publicKey: Uint8Array
  /** Of this one link. */
  readonly nonce: Uint8Array
}

/** The key pair of one life. Made when it is first needed: most rooms never need it. */
export class RelayIdentity {
  readonly #secret: Uint8Array
  #keys: { readonly secretKey: Uint8Array; readonly publicKey: Uint8Array } | null = null
  #nonces = 0

  /** `secret`: 32 random bytes that nobody else knows and no other life has. */
  constructor(secret: Uint8Array) {
    this.#secret = secret
  }

  get publicKey(): Uint8Array {
    return this.#pair().publicKey
  }

  newNonce(): Uint8Array {
    this.#nonces += 1
    return this.#derive(`nonce ${this.#nonces}`).slice(0, nonceBytes)
  }

  /** Null: the other side's key is none. */
  seal(mine: Party, theirs: Party): Seal | null {
    try {
      return new Seal(x25519.getSharedSecret(this.#pair().secretKey, theirs.publicKey), mine, theirs)
    } catch {
      return null
    }
  }

  #pair(): { readonly secretKey: Uint8Array; readonly publicKey: Uint8Array } {
    if (!this.#keys) {
      const secretKey = this.#derive('key')
      this.#keys = { secretKey, publicKey: x25519.getPublicKey(secretKey) }
    }
    return this.#keys
  }

  #derive(purpose: string): Uint8Array {
    return hkdf(sha256, this.#secret, undefined, new TextEncoder().encode(`comity peer-relay ${purpose}`), keyBytes)
  }
}

/** The keys of one link, one for each direction. */
export class Seal {
  /** Names the link to its ends: which keys to try. */
  readonly tag: Uint8Array
  readonly #mine: Uint8Array
  readonly #theirs: Uint8Array

  constructor(shared: Uint8Array, mine: Party, theirs: Party) {
    const isFirst = mine.peerId < theirs.peerId
    const [first, second] = isFirst ? [mine, theirs] : [theirs, mine]
    const info = written((writer) => {
      writeText(writer, 'comity peer-relay 1')
      for (const { peerId, incarnation, publicKey, nonce } of [first, second]) {
        writeText(writer, peerId)
        writeCount(writer, incarnation.counter)
        writeText(writer, incarnation.nonce)
        writeBytes(writer, publicKey)
        writeBytes(writer, nonce)
      }
    })
    const bytes = hkdf(sha256, shared, undefined, info, 2 * keyBytes + tagBytes)
    const ofFirst = bytes.slice(0, keyBytes)
    const ofSecond = bytes.slice(keyBytes, 2 * keyBytes)
    this.#mine = isFirst ? ofFirst : ofSecond
    this.#theirs = isFirst ? ofSecond : ofFirst
    this.tag = bytes.slice(2 * keyBytes)
  }

  /** `number`: never twice in one lane. */
  close(lane: Lane, number: number, plain: Uint8Array): Uint8Array {
    return chacha20poly1305(this.#mine, nonceOf(lane, number)).encrypt(plain)
  }

  /** Null: not sealed by the other end as this number of this lane. */
  open(lane: Lane, number: number, sealed: Uint8Array): Uint8Array | null {
    try {
      return chacha20poly1305(this.#theirs, nonceOf(lane, number)).decrypt(sealed)
    } catch {
      return null
    }
  }
}

function nonceOf(lane: Lane, number: number): Uint8Array {
  const nonce = new Uint8Array(12)
  nonce[0] = lane === 'control' ? 0 : 1
  new DataView(nonce.buffer).setBigUint64(4, BigInt(number))
  return nonce
}

export function isEqual(a: Uint8Array, b: Uint8Array): boolean {
  return a.byteLength === b.byteLength && a.every((byte, i) => byte === b[i])
}
