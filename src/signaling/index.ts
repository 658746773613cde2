/** `comity/signaling`: the signaling server, for Node. */
export { defaultSignalingLimits, type SignalingLimits } from './limits.js'
export type { Authorize, AuthorizeRequest, RefusalReason, SignalingMetrics } from './public.js'
export { createSignalingServer, type SignalingServer, type SignalingServerOptions } from './server.js'
