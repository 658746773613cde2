/** Most answers that a session keeps (S-2). */
export const answersMax = 128
/** Most peers whose newest life is remembered after their session ended (S-1). */
export const peersMax = 4096
