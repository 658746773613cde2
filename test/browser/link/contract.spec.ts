import { test } from '@playwright/test'
import { linkCases } from '../../contract/link-cases.js'
import { openPair } from './tab.js'

for (const mode of ['transferred', 'relayed', 'broadcast'] as const) {
  test.describe(`link contract: ${mode}, between two tabs`, () => {
    for (const one of linkCases) {
      test(one.title, async ({ context }) => {
        const pair = await openPair(context, mode)
        test.skip(one.isFor !== undefined && !one.isFor(pair), 'not to be seen from outside the worker')
        await one.run(pair)
        await pair.teardown()
      })
    }
  })
}
