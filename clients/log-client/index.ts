/**
 * Talking to a log without believing it. See README.md.
 *
 * @module
 */
export * from './client.ts'
export * from './error.ts'
export * from './evidence.ts'
export * from './fetcher.ts'
export * from './log-view.ts'
export * from './memory.ts'
export * from './policy.ts'
export * from './publish-log-policy.ts'
export * from './random.ts'
export type { Submission } from './register-all.ts'
export * from './rotation.ts'
export * from './tile-reader.ts'
export type { ClientCertificate, ClientTls, ExpectedServer } from './tls-agent.ts'
export * from './workload-proof.ts'
