/** The contract of storages as a vitest suite: `describeStorageContract('memory', () => disk)`. */

import { describe, it } from 'vitest'
import { type Disk, storageCases } from './storage-cases.js'

export type { Disk } from './storage-cases.js'

export function describeStorageContract(name: string, makeDisk: () => Disk): void {
  describe(`storage contract: ${name}`, () => {
    const canFail = 'unstorable' in makeDisk()
    for (const one of storageCases) if (canFail || !one.needsFault) it(one.title, () => one.run(makeDisk()))
  })
}
