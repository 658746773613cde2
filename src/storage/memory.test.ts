import { expect, it } from 'vitest'
import { describeStorageContract } from '../../test/contract/storage-contract.js'
import { MemoryDisk, MemoryStorage } from './memory.js'

describeStorageContract('memory', () => {
  const disk = new MemoryDisk()
  return { open: async (nonce) => new MemoryStorage(disk, nonce) }
})

it('two disks know nothing of each other', async () => {
  const [one, other] = [new MemoryDisk(), new MemoryDisk()]
  await new MemoryStorage(one, 'a').write({
    groups: [{ group: 0, entries: [{ term: 1, index: 1, time: 0, type: 'noop' }] }],
  })
  expect([one.read().groups.size, other.read().groups.size]).toEqual([1, 0])
})
