/**
 * The issuer as a service. See ../README.md.
 *
 * @module
 */
export { parseServiceConfig, type ServiceConfig, type WorkloadConfig } from './config.ts'
export { ServiceError, type ServiceErrorCode } from './error.ts'
export { type ConnectionLimits, type LocalApi, type LocalApiOptions, serveLocally } from './local-api.ts'
export { formatLogLine, type LogLine, type ServiceLog } from './log-lines.ts'
export { kernelPeerUid, type PeerUid } from './peer.ts'
export { type RunningIssuer, type RunOptions, runIssuer } from './run.ts'
export { IssuerService, type ServedWorkload, type ServiceOptions, type Submission } from './service.ts'
