/** UTF-16 code units of one signal of the mesh. A larger one is neither sent nor passed on nor parsed. */
export const signalTextMax = 96 * 1024
