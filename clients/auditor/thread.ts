/**
 * A file of ours as a thread.
 *
 * @module
 */
import { Worker } from 'node:worker_threads'

/** @param file `import.meta.url` of a module that knows by `workerData` that it is `name` */
export function startThread(file: string, name: string): Worker {
  if (!file.endsWith('.ts')) return new Worker(new URL(file), { workerData: name })
  // The sources as they are, as the tests run them: Node hands the loader that reads TypeScript on to no thread.
  const loader = JSON.stringify(import.meta.resolve('tsx/esm/api'))
  const boot = `import(${loader}).then(({ register }) => { register(); return import(${JSON.stringify(file)}) })`
  return new Worker(boot, { eval: true, workerData: name })
}
