/** What the document says until somebody edits it. Nothing of this is in the store before. */

export const defaults: readonly string[] = [
  'There is no server behind this text. The page that you are looking at found its peers through a small signaling server, and has not needed it since: stop it, with the button in the panel, and everybody who is here goes on.',
  'Each paragraph has a lock. “Edit” asks the room for it. If somebody holds it already you wait in line, and everyone sees the line. The first in line gets the paragraph the moment it is released, or the moment its holder’s tab is closed.',
  'Who comes first is decided by a log that all peers share, and its order by a leader that they elect among themselves, with Raft. Close the leader’s tab: the others have a new one within a second, and the log goes on where it was.',
  'A page may fall asleep with a lock in its hands. So every grant comes with a number that only grows: the fencing token, shown below a paragraph that is held. Every write here carries its token, and a write from the past is refused, however late it comes.',
  'A change counts when a majority of the voters has it on disk. When no majority can be reached the page says so, and who is missing, instead of guessing. What you have typed is kept until somebody is back.',
  'The text lives where it was written: in the browsers of those who take part. Close all the tabs, open them again, and read on.',
]

export interface Part {
  /** From 1, as in the page. */
  readonly number: number
  readonly lock: string
  readonly key: string
  readonly text: string
}

export const parts: readonly Part[] = defaults.map((text, index) => ({
  number: index + 1,
  lock: `paragraph/${index + 1}`,
  key: `paragraph/${index + 1}`,
  text,
}))
