/**
 * provlog/clients/delivery: what both ends of a delivery agree on. See README.md.
 *
 * @module
 */
export * from './directory.ts'
export { DeliveryError, type DeliveryErrorCode } from './error.ts'
export * from './files.ts'
export * from './local-api.ts'
export * from './socket.ts'
