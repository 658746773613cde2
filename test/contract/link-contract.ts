/** The contract of links as a vitest suite: `describeLinkContract('memory', async () => ({ a, b, teardown }))`. */

import { describe, it } from 'vitest'
import { type LinkPair, linkCases } from './link-cases.js'

export type { LinkPair } from './link-cases.js'

export function describeLinkContract(name: string, setup: () => Promise<LinkPair>): void {
  describe(`link contract: ${name}`, () => {
    for (const one of linkCases) {
      it(one.title, { timeout: 30_000 }, async (context) => {
        const pair = await setup()
        try {
          if (one.isFor && !one.isFor(pair)) context.skip()
          await one.run(pair)
        } finally {
          await pair.teardown()
        }
      })
    }
  })
}
