/** The page's side of the fenced server. */
import { StaleFenceError } from '../../src/index.js'

/** Writes the document of that lock's name; `StaleFenceError` if a newer holder has written it. */
export async function putFenced(
  server: string,
  claim: { readonly name: string; readonly token: number },
  text: string,
): Promise<void> {
  const url = new URL(`/documents/${encodeURIComponent(claim.name)}`, server)
  const response = await fetch(url, { method: 'PUT', headers: { 'Fence-Token': String(claim.token) }, body: text })
  if (response.status === 412) {
    const { current } = (await response.json()) as { current: number }
    throw new StaleFenceError(`the lock ${JSON.stringify(claim.name)} has passed on`, current)
  }
  if (!response.ok) throw new Error(`the server answered ${response.status}: ${await response.text()}`)
}
