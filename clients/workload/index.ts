/**
 * provlog/clients/workload: a workload's own credential, however it reaches it. See README.md.
 *
 * @module
 */
export * from './credential.ts'
export { type FromDirectory, loadFromDirectory } from './directory.ts'
export {
  ENVIRONMENT_WARNING,
  type Environment,
  environmentFor,
  loadFromEnvironment,
  VARIABLES,
} from './environment.ts'
export * from './local-api.ts'
export * from './source.ts'
