/**
 * N1 with several servers: which id has won, given what each configured server holds (null: none, or not known). Pure.
 * A server never changes the id it holds, so whoever decides, decides alike: a majority stays one, and when nobody can
 * have one all see the same full picture.
 */

/** The winner, or null while another could still win. */
export function decide(held: readonly (string | null)[]): string | null {
  const first = leading(held)
  if (first === null) return null
  const votes = held.filter((id) => id === first).length
  return votes > held.length / 2 || !held.includes(null) ? first : null
}

/** The id that most servers hold, the smallest of equals; null if no server holds any. */
export function leading(held: readonly (string | null)[]): string | null {
  const votes = new Map<string, number>()
  for (const id of held) {
    if (id !== null) votes.set(id, (votes.get(id) ?? 0) + 1)
  }
  let best: { id: string; count: number } | null = null
  for (const [id, count] of votes) {
    if (best === null || count > best.count || (count === best.count && id < best.id)) best = { id, count }
  }
  return best?.id ?? null
}
