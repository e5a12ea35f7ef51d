/**
 * provlog/log-server: the transparency service. See README.md.
 *
 * @module
 */
export { type AppLog, type AppOptions, buildApp } from './app.ts'
export type { ListenAddress, ServerLimits } from './config.ts'
export { askControl, connectControl, controlRows } from './control.ts'
export type { TlsFiles } from './http/tls.ts'
export { initLog } from './init.ts'
export { openLog, paths, readLogConfig } from './log.ts'
export { type RunningServer, type ServerOptions, startServer } from './main.ts'
export { type Backup, backupLog } from './recovery/backup.ts'
export type { CaughtUp, LogCopy } from './recovery/catch-up.ts'
export { freezeLog, readFrozen } from './recovery/freeze.ts'
export { fsckData } from './recovery/fsck.ts'
export { type Repaired, repairLog } from './recovery/repair.ts'
export { type Restored, restoreLog, type Witnessed } from './recovery/restore.ts'
export { createSigningKeys, type HeldKeys, heldKeys, type NewKeys } from './sequencing/signing-keys.ts'
export * from './types.ts'
