/**
 * sfc32 (Chris Doty-Humphrey, PractRand): small, fast, passes the usual batteries. Plain data, so that a state with its
 * generator can be copied and replayed.
 */
export interface Random {
  a: number
  b: number
  c: number
  counter: number
}

/** Two peers given one seed must still draw different time-outs, or they would split every vote: `salt` parts them. */
export function createRandom(seed: number, salt: string): Random {
  let hash = 0x811c9dc5
  for (let i = 0; i < salt.length; i++) hash = Math.imul(hash ^ salt.charCodeAt(i), 0x01000193)
  const random: Random = { a: seed | 0, b: Math.floor(seed / 2 ** 32) | 0, c: hash | 0, counter: 1 }
  for (let i = 0; i < 12; i++) nextUint32(random)
  return random
}

export function nextUint32(random: Random): number {
  const sum = (random.a + random.b + random.counter) | 0
  random.counter = (random.counter + 1) | 0
  random.a = random.b ^ (random.b >>> 9)
  random.b = (random.c + (random.c << 3)) | 0
  random.c = (((random.c << 21) | (random.c >>> 11)) + sum) | 0
  return sum >>> 0
}

/** Uniform in [0, 1). */
export function nextFraction(random: Random): number {
  return nextUint32(random) / 2 ** 32
}
