/**
 * provlog/log-server: the transparency service. See README.md.
 *
 * @module
 */
export { type AppLog, type AppOptions, buildApp } from './app.ts'
export { type Backup, backupLog } from './backup.ts'
export type { CaughtUp, LogCopy } from './catch-up.ts'
export type { ListenAddress, ServerLimits } from './config.ts'
export { askControl, connectControl, controlRows } from './control.ts'
export { freezeLog, readFrozen } from './freeze.ts'
export { fsckData } from './fsck.ts'
export { initLog } from './init.ts'
export { openLog, paths, readLogConfig } from './log.ts'
export { type RunningServer, type ServerOptions, startServer } from './main.ts'
export { type Repaired, repairLog } from './repair.ts'
export { type Restored, restoreLog, type Witnessed } from './restore.ts'
export { createSigningKeys, type HeldKeys, heldKeys, type NewKeys } from './signing-keys.ts'
export type { TlsFiles } from './tls.ts'
export * from './types.ts'
